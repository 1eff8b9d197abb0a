"""Addresses that partners know from before, and what they should call instead. They answer until the sunset."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from core.contracts.unpublish import UnpublishRequest
from triggers.http import views
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.scope import Partner, TheJob, standing
from triggers.http.unpublish import begin

router = APIRouter(prefix="/api/platform", tags=["platform"], deprecated=True)

_SINCE = datetime(2026, 1, 21, tzinfo=UTC)
_SUNSET = datetime(2027, 6, 30, 23, 59, 59, tzinfo=UTC)


def mark(response: Response, successor: str) -> dict[str, object]:
    """Say in headers (RFC 9745, RFC 8594, RFC 5829) and in the body that an address is on its way out."""
    response.headers["Deprecation"] = f"@{int(_SINCE.timestamp())}"
    response.headers["Sunset"] = _SUNSET.strftime("%a, %d %b %Y %H:%M:%S GMT")
    response.headers["Link"] = f'<{successor}>; rel="successor-version"'
    return {"_deprecated": True, "_migration_url": successor}


@router.get("/jobs/{job_id}/status")
def job_status(job: TheJob, runtime: TheRuntime, response: Response) -> dict[str, object]:
    """A job by its id. Use `/api/platform/status/{id}`."""
    stages = runtime.jobs.stages(job)
    shown = views.job(job, stages, standing(runtime, job, stages))
    return {**shown, **mark(response, f"/api/platform/status/{job.job_id}")}


@router.post("/unpublish/vector", status_code=202)
@router.post("/unpublish/raster", status_code=202)
def unpublish(
    request: UnpublishRequest, runtime: TheRuntime, base: BaseUrl, caller: Partner, response: Response
) -> dict[str, object]:
    """Take a dataset back. Use `/api/platform/unpublish`, which finds out what kind of data it is."""
    answer = begin(request, runtime, base, caller, response)
    return {**answer.model_dump(mode="json"), **mark(response, "/api/platform/unpublish")}
