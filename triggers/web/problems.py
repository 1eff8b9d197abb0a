"""What a mounted API answers when it cannot do what was asked: the project's error family, never SQL."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from triggers.http.errors import phrase

_log = structlog.get_logger(__name__)

_CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
}

_BAD_QUERIES: tuple[type[Exception], ...] = (
    asyncpg.exceptions.DataError,
    asyncpg.exceptions.UndefinedColumnError,
    asyncpg.exceptions.UndefinedFunctionError,
    asyncpg.exceptions.AmbiguousFunctionError,
    asyncpg.exceptions.IndeterminateDatatypeError,
    asyncpg.exceptions.DatatypeMismatchError,
    asyncpg.exceptions.CannotCoerceError,
    asyncpg.exceptions.PostgresSyntaxError,
    asyncpg.exceptions.RaiseError,
    asyncpg.exceptions.InternalServerError,  # PostGIS reports an impossible geometry so
)

DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


@dataclass(frozen=True)
class Problem:
    """An answer that is not what was asked for."""

    status: int
    message: str
    hint: str | None = None
    code: str | None = None
    error_type: str | None = None


def answer(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The error body every Geomachine route has."""
    code = problem.code or _CODES.get(problem.status, "INTERNAL_ERROR" if problem.status >= 500 else "REQUEST_ERROR")
    body = {
        "success": False,
        "error": problem.message,
        "error_type": problem.error_type or code.title().replace("_", ""),
        "code": code,
        "hint": problem.hint,
        "request_id": getattr(request.state, "request_id", None) or uuid.uuid4().hex,
    }
    return JSONResponse(body, status_code=problem.status, headers=dict(headers or {}))


def of_database(error: Exception) -> Problem:
    """What a driver's error means to the caller."""
    if isinstance(error, asyncpg.exceptions.RaiseError):
        return Problem(400, f"The query cannot be carried out: {error}", "See the queryables for names and types.")
    if isinstance(error, _BAD_QUERIES):
        return Problem(
            400,
            "The query does not fit the data: a name, a type or a geometry in it is wrong.",
            "See the queryables for names and types.",
        )
    if isinstance(error, asyncpg.exceptions.UndefinedTableError):
        return Problem(404, "The collection is being replaced or was removed.", "Ask again.")
    if isinstance(error, asyncpg.exceptions.QueryCanceledError):
        return Problem(503, "The query took too long.", "Ask for a smaller area or a narrower filter.", "TASK_TIMEOUT")
    if isinstance(error, (asyncpg.exceptions.PostgresConnectionError, OSError, TimeoutError, asyncpg.InterfaceError)):
        return Problem(503, "The database does not answer.", "Try again in a moment.", "DATABASE_UNAVAILABLE")
    return Problem(500, "The request failed inside the service.", "Report the request_id to the operator.")


async def _database(request: Request, error: Exception) -> JSONResponse:
    problem = of_database(error)
    if problem.status >= 500:
        _log.error("serving_query_failed", path=request.url.path, exc_info=error)
    return answer(request, problem)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(request, Problem(error.status_code, str(error.detail)), error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    parts = [phrase(problem) for problem in error.errors()]
    return answer(request, Problem(400, "; ".join(parts)))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises it again after this answer, so it is logged where all unexpected errors are.
    return answer(request, of_database(ValueError()))


def install(app: FastAPI, statuses: Mapping[type[Exception], int] | None = None) -> None:
    """Answer the app's errors in the project's family; `statuses` names the library's own exceptions."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind in (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError, TimeoutError):
        app.add_exception_handler(kind, _database)
    for kind, status in (statuses or {}).items():
        app.add_exception_handler(kind, _of_library(status))
    app.add_exception_handler(Exception, _unexpected)


def _of_library(status: int):  # type: ignore[no-untyped-def]
    async def handler(request: Request, error: Exception) -> JSONResponse:
        if status < 500:
            return answer(request, Problem(status, str(error)))
        _log.error("serving_failed", path=request.url.path, exc_info=error)
        return answer(request, of_database(ValueError()))

    return handler
