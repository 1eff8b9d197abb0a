"""Every route with the roles it lets in."""

from __future__ import annotations

import re

from tests.support.api import Api
from triggers.http.app import create_app

PROBES, PARTNER, REVIEWER, MEMBER, ADMIN = "anyone", "partner", "reviewer", "partner or reviewer", "admin"
TABLE = {
    "GET /api/livez": PROBES,
    "GET /api/readyz": PROBES,
    "GET /api/health": MEMBER,
    "POST /api/platform/submit": PARTNER,
    "POST /api/platform/raster/add-to-collection": PARTNER,
    "GET /api/platform/status": PARTNER,
    "GET /api/platform/status/{id}": PARTNER,
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
    "GET /api/admin/dead-letters": ADMIN,
    "GET /api/admin/dead-letters/{id}": ADMIN,
    "PATCH /api/admin/dead-letters/{id}": ADMIN,
    "POST /api/admin/dead-letters/{id}/redrive": ADMIN,
    "POST /api/admin/dead-letters/{id}/discard": ADMIN,
    "POST /api/admin/dead-letters/redrive": ADMIN,
    "POST /api/admin/dead-letters/discard": ADMIN,
    "GET /api/admin/audit": ADMIN,
    "GET /api/approvals": REVIEWER,
    "GET /api/approvals/{approval_id}": REVIEWER,
    "GET /api/approvals/{approval_id}/history": REVIEWER,
    "POST /api/approvals/{approval_id}/approve": REVIEWER,
    "POST /api/approvals/{approval_id}/reject": REVIEWER,
    "POST /api/approvals/{approval_id}/resubmit": REVIEWER,
    "POST /api/approvals/{approval_id}/revoke": REVIEWER,
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
}
LET_IN = {
    PROBES: {"nobody", "ann", "rex", "ada"},
    MEMBER: {"ann", "rex", "ada"},
    PARTNER: {"ann", "ada"},
    REVIEWER: {"rex", "ada"},
    ADMIN: {"ada"},
}


def test_every_route_is_in_the_table() -> None:
    paths = create_app(lambda: None).openapi()["paths"]  # type: ignore[arg-type,return-value]  # never called
    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == TABLE.keys()


def test_every_route_lets_in_its_roles_and_nobody_else(api: Api) -> None:
    wrong = []
    for route, role in TABLE.items():
        method, path = route.split()
        url = re.sub(r"\{(stage|index|id)\}", "1", re.sub(r"\{(job_id|job_type|approval_id|scope)\}", "0" * 64, path))
        for caller in ("nobody", "ann", "rex", "ada"):
            client = api.of(caller)
            if caller == "nobody":
                del client.headers["X-API-Key"]
            status = client.request(method, url, json={"n": None}).status_code
            let_in = status not in (401, 403)
            if let_in != (caller in LET_IN[role]) or (caller == "nobody" and not let_in and status != 401):
                wrong.append((route, caller, status))
    assert wrong == []
