"""The one HTTP application: routers, errors, request ids and limits. Used by the Function App and by the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI

from core.version import VERSION
from triggers.http import (
    adf,
    approvals,
    artifacts,
    audit,
    catalog,
    consistency,
    curated,
    database,
    dead_letters,
    deletion,
    deprecated,
    error_catalogue,
    errors,
    evidence,
    external_databases,
    health,
    history,
    job_logs,
    jobs,
    keys,
    maintenance,
    operations,
    plans,
    platform,
    platform_approvals,
    policies,
    readers,
    renders,
    reports,
    services,
    snapshots,
    styles,
    telemetry,
    timeline,
    trial_approvals,
    unpublish,
    webhooks,
)
from triggers.http.cors import Cors
from triggers.http.description import describe
from triggers.http.middleware import Surroundings
from triggers.web import docs

if TYPE_CHECKING:
    from composition import Runtime

_MODULES = (
    plans,
    platform,
    renders,
    catalog,
    styles,
    unpublish,
    reports,
    services,
    curated,
    jobs,
    history,
    job_logs,
    timeline,
    operations,
    deletion,
    dead_letters,
    approvals,
    trial_approvals,
    evidence,
    platform_approvals,
    policies,
    readers,
    webhooks,
    adf,
    artifacts,
    audit,
    keys,
    external_databases,
    database,
    maintenance,
    snapshots,
    consistency,
    error_catalogue,
    health,
    telemetry,
    deprecated,
)


def create_app(get_runtime: Callable[[], Runtime]) -> FastAPI:
    """The API without the catalogue services; nothing is connected before the first request that needs it."""
    app = FastAPI(
        title="Geomachine",
        version=VERSION,
        description="Submit rasters and vectors, watch their jobs, approve what they made.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        # A span and a duration for each request; what is inside is CoreMachine's to tell, and logs are ours.
        telemetry={"operation_spans": False, "logs": False},
    )
    app.state.get_runtime = get_runtime
    for module in _MODULES:
        app.include_router(module.router)
    app.include_router(docs.router())
    errors.install(app)
    describe(app)
    app.add_middleware(Surroundings, settings=lambda: get_runtime().settings.server)
    app.add_middleware(Cors, origins=lambda: get_runtime().settings.server.allowed_origins)
    return app
