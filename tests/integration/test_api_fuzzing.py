"""Whatever the API's description allows a caller to send: never a defect, never an answer that is not described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from tests.support.api import Api, serve
from triggers.http.app import create_app

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 5
HEALTH = list(HealthCheck)


@pytest.fixture(scope="module")
def stocked(
    cluster: Cluster, templates: Templates, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """One API for every operation, with jobs of several ends in it."""
    name = templates.clone(template)
    with serve(cluster.conninfo(name), tmp_path_factory.mktemp("fuzz")) as api:
        for behaviour in ("done", "permanent"):
            api.submit(name=behaviour, behaviour=behaviour)
        api.drain()
        api.submit(name="waits")
        yield api
    templates.drop(name)


@pytest.fixture(scope="module")
def described(stocked: Api) -> OpenApiSchema:
    """The API's own description of itself."""
    return schemathesis.openapi.from_asgi("/api/openapi.json", stocked.app)


def operations() -> list[str]:
    """Every operation of the description."""
    paths = create_app(lambda: None).openapi()["paths"]  # type: ignore[arg-type,return-value]  # never called
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize("operation", operations())
def test_no_request_finds_a_defect_or_an_answer_that_is_not_described(described: OpenApiSchema, operation: str) -> None:
    fuzz(described, operation)


def fuzz(described: OpenApiSchema, operation: str) -> None:
    """Send generated requests, always the same ones. Raises what the answers deserve."""
    method, path = operation.split()
    found = described[path][method]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=HEALTH)
    @given(found.as_strategy())
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"X-API-Key": "ada"}, checks=CHECKS)

    check()


def test_a_defect_and_an_answer_that_is_not_described_are_found() -> None:
    app = FastAPI()

    @app.get("/sound")
    def sound(n: int) -> dict[str, int]:
        return {"n": n}

    @app.get("/defect", responses={500: {}})
    def defect() -> JSONResponse:
        return JSONResponse({}, 500)

    @app.get("/undescribed")
    def undescribed() -> JSONResponse:
        return JSONResponse({}, 418)

    described = schemathesis.openapi.from_asgi("/openapi.json", app)
    fuzz(described, "GET /sound")
    with pytest.raises(FailureGroup, match="Server error"):
        fuzz(described, "GET /defect")
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        fuzz(described, "GET /undescribed")
