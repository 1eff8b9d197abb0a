"""Every route with the roles it lets in."""

from __future__ import annotations

import re

from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from core.models.access import Role
from tests.support.api import Api
from triggers.http.app import create_app
from triggers.http.auth import Anyone, Requires

PROBES, PARTNER, REVIEWER, MEMBER, ADMIN = "anyone", "partner", "reviewer", "partner or reviewer", "admin"
TABLE = {
    "GET /api/errors": PROBES,
    "GET /api/errors/{code}": PROBES,
    "GET /api/livez": PROBES,
    "GET /api/readyz": PROBES,
    "GET /api/health": MEMBER,
    "POST /api/platform/submit": PARTNER,
    "POST /api/platform/raster/add-to-collection": PARTNER,
    "GET /api/platform/status": PARTNER,
    "GET /api/platform/status/{id}": PARTNER,
    "POST /api/platform/validate": PARTNER,
    "POST /api/platform/unpublish": PARTNER,
    "POST /api/platform/unpublish/vector": PARTNER,
    "POST /api/platform/unpublish/raster": PARTNER,
    "GET /api/platform/failures": PARTNER,
    "GET /api/platform/health": MEMBER,
    "GET /api/platform/jobs/{job_id}/status": PARTNER,
    "POST /api/jobs/submit/{job_type}": ADMIN,
    "GET /api/jobs": PARTNER,
    "GET /api/jobs/status/{job_id}": PARTNER,
    "GET /api/jobs/{job_id}/runs": PARTNER,
    "GET /api/jobs/{job_id}/tasks": PARTNER,
    "GET /api/jobs/{job_id}/events": PARTNER,
    "GET /api/jobs/{job_id}/events/latest": PARTNER,
    "GET /api/jobs/{job_id}/events/summary": PARTNER,
    "GET /api/jobs/{job_id}/events/failure": PARTNER,
    "GET /api/jobs/{job_id}/timeline": PARTNER,
    "POST /api/jobs/{job_id}/cancel": PARTNER,
    "POST /api/jobs/{job_id}/tasks/{stage}/{index}/cancel": PARTNER,
    "POST /api/jobs/{job_id}/retry": PARTNER,
    "POST /api/jobs/{job_id}/resubmit": PARTNER,
    "DELETE /api/jobs/{job_id}": PARTNER,
    "GET /api/platform/catalog/lookup": MEMBER,
    "GET /api/platform/catalog/item/{collection_id}/{item_id}": MEMBER,
    "GET /api/platform/catalog/assets/{collection_id}/{item_id}": MEMBER,
    "GET /api/platform/catalog/dataset/{dataset_id}": MEMBER,
    "GET /api/platform/lineage/{id}": PARTNER,
    "GET /api/raster/{cog_id}/renders": MEMBER,
    "POST /api/raster/{cog_id}/renders": REVIEWER,
    "GET /api/raster/{cog_id}/renders/{render_id}": MEMBER,
    "PUT /api/raster/{cog_id}/renders/{render_id}": REVIEWER,
    "DELETE /api/raster/{cog_id}/renders/{render_id}": REVIEWER,
    "GET /api/features/collections/{collection_id}/styles": PROBES,
    "GET /api/features/collections/{collection_id}/styles/{style_id}": PROBES,
    "PUT /api/features/collections/{collection_id}/styles/{style_id}": PARTNER,
    "DELETE /api/features/collections/{collection_id}/styles/{style_id}": PARTNER,
    "GET /api/admin/dead-letters": ADMIN,
    "GET /api/admin/dead-letters/{id}": ADMIN,
    "PATCH /api/admin/dead-letters/{id}": ADMIN,
    "POST /api/admin/dead-letters/{id}/redrive": ADMIN,
    "POST /api/admin/dead-letters/{id}/discard": ADMIN,
    "POST /api/admin/dead-letters/redrive": ADMIN,
    "POST /api/admin/dead-letters/discard": ADMIN,
    "GET /api/admin/audit": ADMIN,
    "GET /api/admin/consistency/findings": ADMIN,
    "GET /api/admin/consistency/findings/{finding_id}": ADMIN,
    "POST /api/admin/consistency/findings/{finding_id}/dismiss": ADMIN,
    "POST /api/admin/consistency/findings/{finding_id}/repair": ADMIN,
    "POST /api/admin/consistency/repair": ADMIN,
    "GET /api/admin/consistency/repairs": ADMIN,
    "POST /api/admin/consistency/repairs/{repair_id}/undo": ADMIN,
    "GET /api/admin/consistency/runs": ADMIN,
    "POST /api/admin/consistency/run": ADMIN,
    "POST /api/jobs/services/register": PARTNER,
    "GET /api/jobs/services": MEMBER,
    "GET /api/jobs/services/stats": MEMBER,
    "GET /api/jobs/services/{service_id}": MEMBER,
    "PUT /api/jobs/services/{service_id}": PARTNER,
    "PATCH /api/jobs/services/{service_id}": PARTNER,
    "DELETE /api/jobs/services/{service_id}": PARTNER,
    "POST /api/jobs/services/{service_id}/check": PARTNER,
    "POST /api/jobs/services/{service_id}/enable": PARTNER,
    "POST /api/jobs/services/{service_id}/disable": PARTNER,
    "GET /api/curated/datasets": MEMBER,
    "POST /api/curated/datasets": ADMIN,
    "GET /api/curated/datasets/{dataset_id}": MEMBER,
    "PUT /api/curated/datasets/{dataset_id}": ADMIN,
    "PATCH /api/curated/datasets/{dataset_id}": ADMIN,
    "DELETE /api/curated/datasets/{dataset_id}": ADMIN,
    "POST /api/curated/datasets/{dataset_id}/update": ADMIN,
    "GET /api/curated/datasets/{dataset_id}/history": MEMBER,
    "POST /api/curated/datasets/{dataset_id}/enable": ADMIN,
    "POST /api/curated/datasets/{dataset_id}/disable": ADMIN,
    "GET /api/admin/external/prereqs": ADMIN,
    "POST /api/admin/external/initialize": ADMIN,
    "GET /api/admin/keys": ADMIN,
    "POST /api/admin/keys": ADMIN,
    "POST /api/admin/keys/{key_id}/rotate": ADMIN,
    "DELETE /api/admin/keys/{key_id}": ADMIN,
    "GET /api/approvals": REVIEWER,
    "GET /api/approvals/{approval_id}": REVIEWER,
    "GET /api/approvals/{approval_id}/history": REVIEWER,
    "GET /api/approvals/{approval_id}/evidence": REVIEWER,
    "POST /api/approvals/test": REVIEWER,
    "POST /api/approvals/{approval_id}/approve": REVIEWER,
    "POST /api/approvals/{approval_id}/reject": REVIEWER,
    "POST /api/approvals/{approval_id}/resubmit": REVIEWER,
    "POST /api/approvals/{approval_id}/revoke": REVIEWER,
    "GET /api/admin/snapshot": ADMIN,
    "POST /api/admin/snapshot": ADMIN,
    "GET /api/admin/snapshot/history": ADMIN,
    "GET /api/metrics": ADMIN,
    "POST /test/logging": ADMIN,
    "GET /test/logging/verify": ADMIN,
    "GET /api/jobs/{job_id}/logs": PARTNER,
    "GET /api/dbadmin/schemas": ADMIN,
    "GET /api/dbadmin/schemas/{schema}/tables": ADMIN,
    "GET /api/dbadmin/tables/{table}": ADMIN,
    "GET /api/dbadmin/activity": ADMIN,
    "GET /api/dbadmin/health": ADMIN,
    "GET /api/dbadmin/health/performance": ADMIN,
    "GET /api/dbadmin/pgstac": ADMIN,
    "GET /api/dbadmin/diagnostics": ADMIN,
    "GET /api/dbadmin/drift": ADMIN,
    "POST /api/dbadmin/maintenance": ADMIN,
    "GET /api/admin/adf/health": ADMIN,
    "GET /api/admin/adf/pipelines": ADMIN,
    "GET /api/admin/adf/runs/{run_id}": ADMIN,
    "GET /api/admin/webhooks": ADMIN,
    "POST /api/admin/webhooks/{event_id}/replay": ADMIN,
    "GET /api/platform/webhook-secret": PARTNER,
    "GET /api/artifacts": REVIEWER,
    "POST /api/admin/artifacts/{artifact_id}/restore": ADMIN,
    "POST /api/platform/approve": REVIEWER,
    "POST /api/platform/reject": REVIEWER,
    "POST /api/platform/resubmit": MEMBER,
    "POST /api/platform/revoke": REVIEWER,
    "GET /api/platform/approvals": MEMBER,
    "GET /api/platform/approvals/status": MEMBER,
    "GET /api/platform/approvals/{approval_id}": MEMBER,
    "GET /api/admin/approval-policies": ADMIN,
    "PUT /api/admin/approval-policies/{scope}": ADMIN,
    "DELETE /api/admin/approval-policies/{scope}": ADMIN,
    "GET /api/datasets/{dataset_id}/readers": REVIEWER,
    "PUT /api/datasets/{dataset_id}/readers": REVIEWER,
}
LET_IN = {
    PROBES: {"nobody", "ann", "rex", "ada"},
    MEMBER: {"ann", "rex", "ada"},
    PARTNER: {"ann", "ada"},
    REVIEWER: {"rex", "ada"},
    ADMIN: {"ada"},
}


#: What FastAPI serves without describing it: the description itself, and the pages about it.
UNDESCRIBED = {"GET /api/openapi.json", "GET /api/interface/swagger", "GET /api/interface/redoc"}
UNDESCRIBED |= {"GET /api/interface/static/{path}"}


def routes() -> dict[str, APIRoute | Route]:
    """Every route of the app, described or not."""
    app = create_app(lambda: None)  # type: ignore[arg-type,return-value]  # never called
    found: dict[str, APIRoute | Route] = {}
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if not isinstance(route, Route | APIRoute):
            assert not isinstance(route, Mount), f"{route.path} is mounted without a test here"
            waiting += route.original_router.routes  # FastAPI keeps an included router as one route
            continue
        for method in sorted(route.methods - {"HEAD"}):
            found[f"{method} {route.path_format}"] = route
    return found


def asked_roles(route: APIRoute | Route) -> list[tuple[Role, ...] | None]:
    """What the dependencies of a route ask for; None for one that lets the public in."""
    found: list[tuple[Role, ...] | None] = []
    waiting = [route.dependant] if isinstance(route, APIRoute) else []
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, Requires):
            found.append(dependant.call.roles)
        elif isinstance(dependant.call, Anyone):
            found.append(None)
        waiting += dependant.dependencies
    return found


def test_every_route_is_in_the_table() -> None:
    assert routes().keys() - UNDESCRIBED == TABLE.keys()


def test_every_route_names_its_roles_in_the_code_as_in_the_table() -> None:
    named = {PARTNER: {Role.PARTNER}, REVIEWER: {Role.REVIEWER}, ADMIN: set(), MEMBER: {Role.PARTNER, Role.REVIEWER}}
    wrong = []
    for name, route in routes().items():
        roles = asked_roles(route)
        if name in UNDESCRIBED or TABLE[name] == PROBES:
            if any(asked is not None for asked in roles):
                wrong.append((name, roles))
        elif not roles or any(asked is None or set(asked) != named[TABLE[name]] for asked in roles):
            wrong.append((name, roles))
    assert wrong == []


def test_every_route_lets_in_its_roles_and_nobody_else(api: Api) -> None:
    wrong = []
    for route, role in TABLE.items():
        method, path = route.split()
        url = re.sub(r"\{\w+(:path)?\}", "1", path)
        url = re.sub(
            r"\{(stage|index|id)\}",
            "1",
            re.sub(r"\{(job_id|job_type|approval_id|run_id|event_id|artifact_id|scope)\}", "0" * 64, path),
        )
        for caller in ("nobody", "ann", "rex", "ada"):
            client = api.of(caller)
            if caller == "nobody":
                del client.headers["X-API-Key"]
            status = client.request(method, url, json={"n": None}).status_code
            let_in = status not in (401, 403)
            if let_in != (caller in LET_IN[role]) or (not let_in and (status == 401) != (caller == "nobody")):
                wrong.append((route, caller, status))
    assert wrong == []
