"""`/api/errors`: what the codes in answers and jobs mean, and what to do. The same facts as in the reference."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from core import error_catalogue
from core.error_catalogue import ErrorFacts
from core.errors import ErrorKind, FixedBy, NotFound
from triggers.http.auth import Anyone
from triggers.http.errors import ErrorBody, class_name, status_of

router = APIRouter(prefix="/api/errors", tags=["errors"], dependencies=[Depends(Anyone())])
Code = Annotated[str, Path(pattern="^[A-Z_]{1,64}$", description="As `code` in an error answer or a job's error.")]
_METHOD_NOT_ALLOWED = 405


class ErrorEntry(BaseModel):
    """One code. `http_status` is null for codes that no answer has: they stand on jobs, tasks and dead letters."""

    code: str
    meaning: str
    cause: str
    fix: str
    fixed_by: FixedBy
    kind: ErrorKind
    retryable: bool
    http_status: int | None
    error_type: str | None
    example: ErrorBody


class ErrorCatalogue(BaseModel):
    """Every code."""

    count: int
    errors: list[ErrorEntry]


@router.get("")
def listing() -> ErrorCatalogue:
    """Every error code with cause, fix, who can fix it, status and an example."""
    found = [entry(facts) for facts in error_catalogue.catalogue()]
    return ErrorCatalogue(count=len(found), errors=found)


@router.get("/{code}")
def one(code: Code) -> ErrorEntry:
    """What one code means and what to do."""
    for facts in error_catalogue.catalogue():
        if facts.code == code:
            return entry(facts)
    raise NotFound(f"There is no error code {code!r}.", hint="GET /api/errors lists them all.")


def entry(facts: ErrorFacts) -> ErrorEntry:
    """The facts, with what HTTP adds to them."""
    name = class_name(facts.error_type) if facts.error_type else "HTTPException"
    return ErrorEntry(
        code=facts.code,
        meaning=facts.meaning,
        cause=facts.cause,
        fix=facts.fix,
        fixed_by=facts.fixed_by,
        kind=facts.kind,
        retryable=facts.kind is not ErrorKind.PERMANENT,
        http_status=_status(facts),
        error_type=name if facts.error_type else None,
        example=ErrorBody(
            error=facts.meaning, error_type=name, code=facts.code, hint=f"{facts.fix}.", request_id="5f0c2a…"
        ),
    )


def _status(facts: ErrorFacts) -> int | None:
    if facts.error_type is not None:
        return status_of(facts.error_type())
    return _METHOD_NOT_ALLOWED if facts.code == "METHOD_NOT_ALLOWED" else None
