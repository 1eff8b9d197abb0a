"""Which HTTP status does an error have, and what does its body look like?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from core import errors

_MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName)
_OURS = re.compile('"?(app|pgstac)[".]')
_ENSURE = "An operator runs ./geomachine db ensure; while the database is rebuilt, try again later."
_log = structlog.get_logger()

#: The nearest listed ancestor of an error decides.
STATUS: Mapping[type[errors.GeomachineError], int] = {
    errors.GeomachineError: 500,
    errors.RequestError: 400,
    errors.UnknownJobType: 400,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotAcceptable: 406,
    errors.PayloadTooLarge: 413,
    errors.RateLimited: 429,
    errors.DataError: 400,
    errors.SourceNotFound: 404,
    errors.TargetExists: 409,
    errors.TransientError: 503,
    errors.TargetChanged: 503,
}


class ErrorBody(BaseModel):
    """The one shape of every error answer. `hint` says what to do, `request_id` finds the call in the log."""

    success: bool = False
    error: str
    error_type: str
    code: str
    hint: str | None
    request_id: str | None


def class_name(error: type[errors.GeomachineError]) -> str:
    """What `error_type` says of a class."""
    return "ValidationError" if error.code == errors.InvalidRequest.code else error.__name__


def status_of(error: errors.GeomachineError) -> int:
    """The status of an error, from the table."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def body(request: Request, *, message: str, error_type: str, code: str, hint: str | None) -> dict[str, object]:
    """The one shape of every error answer."""
    request_id = getattr(request.state, "request_id", None)
    return ErrorBody(error=message, error_type=error_type, code=code, hint=hint, request_id=request_id).model_dump()


async def _domain(request: Request, error: Exception) -> JSONResponse:
    return answer(request, cast("errors.GeomachineError", error))


def answer(request: Request, known: errors.GeomachineError) -> JSONResponse:
    """The answer to a request that failed with one of our errors."""
    status = status_of(known)
    if status >= 500:
        _log.error("request_failed", code=known.code, error=known.message)
    name = class_name(type(known))
    content = body(request, message=known.message, error_type=name, code=known.code, hint=known.hint)
    return JSONResponse(content, status, _headers(known))


def _headers(known: errors.GeomachineError) -> dict[str, str]:
    match known:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": 'Bearer, ApiKey header="X-API-Key"'}
        case errors.RateLimited() | errors.CallInProgress():
            return {"Retry-After": str(known.retry_after)}
        case _:
            return {}


def phrase(problem: Mapping[str, object]) -> str:
    """What one of Pydantic's findings says to the caller."""
    place = cast("tuple[str | int, ...]", problem["loc"])
    if problem["type"] == "json_invalid":
        reason = cast("Mapping[str, str]", problem["ctx"])["error"]
        return f"The body is not valid JSON: {reason} at character {place[-1]}"
    # A part in angle brackets is the tag of a union's member, not a field.
    fields = [str(part) for part in place[1:] if not str(part).startswith("<")]
    return f"{'.'.join(fields) or place[0]}: {problem['msg']}"


async def _validation(request: Request, error: Exception) -> JSONResponse:
    problems = [phrase(problem) for problem in cast("RequestValidationError", error).errors()]
    return JSONResponse(
        body(
            request,
            message="; ".join(problems),
            error_type="ValidationError",
            code=errors.InvalidRequest.code,
            hint="Every field is described at /api/interface/swagger.",
        ),
        400,
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    return refusal(request, cast("HTTPException", error))


def refusal(request: Request, known: HTTPException) -> JSONResponse:
    """The answer to a request that the framework or the middleware refused."""
    codes = {404: errors.NotFound.code, 405: "METHOD_NOT_ALLOWED", 413: errors.PayloadTooLarge.code}
    code = codes.get(known.status_code, errors.RequestError.code)
    content = body(request, message=str(known.detail), error_type="HTTPException", code=code, hint=None)
    return JSONResponse(content, known.status_code, known.headers)


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """A defect: logged with its traceback, shown without it. That our tables are not there is none of the program's."""
    if isinstance(error, _MISSING) and _OURS.search(str(error)):
        lacks = str(error).partition("\n")[0]
        return answer(request, errors.DatabaseUnavailable(f"The schema is not complete: {lacks}.", hint=_ENSURE))
    _log.error("request_crashed", error=f"{type(error).__name__}: {error}", exc_info=error)
    hint = "Give the request_id to the operator: the log tells more."
    content = body(
        request,
        message="An unexpected error happened.",
        error_type="InternalError",
        code=errors.GeomachineError.code,
        hint=hint,
    )
    return JSONResponse(content, 500)


def install(app: FastAPI) -> None:
    """Give the app its error handlers."""
    app.add_exception_handler(errors.GeomachineError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
