"""Every code an answer, a job or a row may carry: what it means, who can mend it, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core import errors
from core.errors import ErrorKind, FixedBy, GeomachineError


@dataclass(frozen=True)
class ErrorFacts:
    """One code. `error_type` is the class behind it, None for codes that are recorded and never raised."""

    code: str
    meaning: str
    cause: str
    fix: str
    kind: ErrorKind
    fixed_by: FixedBy
    error_type: type[GeomachineError] | None = None


def _recorded(code: str, meaning: str, cause: str, fix: str, fixed_by: FixedBy) -> ErrorFacts:
    return ErrorFacts(code, meaning, cause, fix, ErrorKind.PERMANENT, fixed_by)


#: Codes without a class.
RECORDED = (
    _recorded(
        "METHOD_NOT_ALLOWED",
        "The route does not know this method.",
        "the route exists for another method",
        "see the API description",
        FixedBy.CALLER,
    ),
    _recorded(
        "TASKS_FAILED",
        "Tasks of the job failed, and its policy let the others run first.",
        "the errors of its failed tasks",
        "read those: `GET /api/jobs/{job_id}/tasks?status=failed`",
        FixedBy.CALLER,
    ),
    _recorded(
        "JOB_CANCELLED",
        "The job was cancelled.",
        "a person stopped it",
        "submit or resubmit it, if it was not meant",
        FixedBy.CALLER,
    ),
    _recorded(
        "TASK_CANCELLED",
        "The task was cancelled.",
        "a person stopped it, or its job ended first",
        "retry the job, if it was not meant",
        FixedBy.CALLER,
    ),
    _recorded(
        "CALLBACK_FAILED",
        "A side effect gave up after its last attempt.",
        "the other side did not take it",
        "redrive it from the dead letters when the other side answers again",
        FixedBy.OPERATOR,
    ),
)


def catalogue() -> tuple[ErrorFacts, ...]:
    """Every code, in the order of the tree, then those without a class."""
    return (*(_facts(cls) for cls in _tree(errors.GeomachineError)), *RECORDED)


def _tree(cls: type[GeomachineError]) -> Iterable[type[GeomachineError]]:
    """The classes of core/errors below and with this one, parents first. Programs around it may define more."""
    if cls.__module__.startswith(f"{errors.__name__}."):
        yield cls
        for child in cls.__subclasses__():
            yield from _tree(child)


def _facts(cls: type[GeomachineError]) -> ErrorFacts:
    meaning = (cls.__doc__ or "").splitlines()[0]
    return ErrorFacts(cls.code, meaning, cls.cause, cls.fix, cls.kind, cls.fixed_by, cls)
