"""What the API's description says beyond what FastAPI reads from the routes: audience, errors, roles, examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from core.models.access import Role
from triggers.http.auth import Anyone, Requires
from triggers.http.errors import ErrorBody
from triggers.http.examples import EXAMPLES

Json = dict[str, object]

_AUDIENCES = {
    "public": "Open to everyone, within a rate limit per address.",
    "partner": "For partner systems: submit datasets, watch and act on what the own client submitted. Admins may too.",
    "reviewer": "For those who decide what is published. Admins may too.",
    "admin": "For those who operate the system.",
}
_ERROR = {"$ref": "#/components/schemas/ErrorBody"}
_UNUSED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Have the app's OpenAPI document finished by us."""
    plain = cast("Callable[[], Json]", app.openapi)

    def finished() -> Json:
        made = app.openapi_schema is None
        document = plain()
        if made:
            _finish(document, list(described_routes(app.routes)))
        return document

    app.openapi = finished  # type: ignore[method-assign]  # FastAPI's own way to extend it


def described_routes(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    """Every route of the app that its description shows; FastAPI keeps an included router as one route."""
    for route in routes:
        if isinstance(route, APIRoute):
            if route.include_in_schema:
                yield route
        elif (inner := getattr(route, "original_router", None)) is not None:
            yield from described_routes(inner.routes)


def roles_of(route: APIRoute) -> tuple[Role, ...] | None:
    """The roles that a route lets in beside admins; None for one that everybody may call."""
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, Requires):
            return dependant.call.roles
        if isinstance(dependant.call, Anyone):
            return None
        waiting += dependant.dependencies
    return None


def _finish(document: Json, routes: list[APIRoute]) -> None:
    document["tags"] = [{"name": name, "description": words} for name, words in _AUDIENCES.items()]
    schemas = cast("dict[str, Json]", cast("Json", document["components"])["schemas"])
    schemas["ErrorBody"] = ErrorBody.model_json_schema()
    for name in _UNUSED:
        schemas.pop(name, None)
    paths = cast("dict[str, dict[str, Json]]", document["paths"])
    for route in routes:
        for method in route.methods or ():
            operation = paths[route.path_format].get(method.lower())
            if operation is not None:
                _finish_operation(operation, roles_of(route), EXAMPLES.get(f"{method} {route.path_format}"))


def _finish_operation(operation: Json, roles: tuple[Role, ...] | None, example: object) -> None:
    audience = "public" if roles is None else (roles[0].value if roles else "admin")
    topics = cast("list[str]", operation.get("tags") or [])
    operation["tags"] = [audience, *(topic for topic in topics if topic != audience)]
    if roles is None:
        operation.pop("security", None)
    else:
        operation["x-roles"] = sorted({*(role.value for role in roles), Role.ADMIN.value})
    responses = cast("dict[str, Json]", operation["responses"])
    responses.pop("422", None)  # what FastAPI calls 422 is 400 here
    refused: Json = {"description": "An error; `code` is explained at /api/errors.", "content": _json(_ERROR)}
    responses.setdefault("default", refused)
    if example is not None:
        body = cast("Json", operation["requestBody"])
        content = cast("dict[str, Json]", body["content"])["application/json"]
        content["examples"] = {"example": {"value": example}}


def _json(schema: Json | dict[str, str]) -> Json:
    return {"application/json": {"schema": schema}}
