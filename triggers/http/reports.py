"""`/api/platform/failures` and `/api/platform/health`: how does it go, for whoever depends on it?"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from infrastructure.postgres.reports import FailedRun, FailurePattern, Throughput
from triggers.http.access import TheRuntime
from triggers.http.components import Probes
from triggers.http.probing import hurriedly, probed
from triggers.http.scope import Member, Partner

router = APIRouter(prefix="/api/platform", tags=["platform"])


class FailureReport(BaseModel):
    """What failed within a period. `failure_rate` is a percentage of the jobs that ended in it."""

    success: bool = True
    period_hours: int
    total_failures: int
    total_jobs: int
    failure_rate: float
    common_patterns: list[FailurePattern]
    recent_failures: list[FailedRun]


@router.get("/failures")
def failures(
    runtime: TheRuntime,
    caller: Partner,
    hours: Annotated[int, Query(ge=1, le=720, description="How far to look back.")] = 24,
    limit: Annotated[int, Query(ge=1, le=500, description="How many single failures at most.")] = 20,
) -> FailureReport:
    """Failed jobs, grouped by what went wrong, and the latest one by one; a partner's own."""
    found = runtime.reports.failures(hours, limit, caller.sees_only)
    rate = 100 * found.total_failures / found.total_jobs if found.total_jobs else 0.0
    return FailureReport(
        period_hours=hours,
        total_failures=found.total_failures,
        total_jobs=found.total_jobs,
        failure_rate=round(rate, 2),
        common_patterns=found.patterns,
        recent_failures=found.latest,
    )


class PlatformHealth(BaseModel):
    """Whether it is worth submitting now. `service_bus` is `not_configured` where PostgreSQL is the queue."""

    status: Literal["healthy", "unhealthy"]
    ready_for_jobs: bool
    summary: dict[str, str]
    jobs: Throughput | None
    timestamp: datetime | None


@router.get("/health", responses={503: {"model": PlatformHealth}})
async def health(runtime: TheRuntime, _: Member, response: Response) -> PlatformHealth:
    """Whether jobs can be accepted and run; 503 when not."""
    response.headers["Cache-Control"] = "no-store"
    probes = Probes(runtime)
    parts = {"database": await probed(probes.database), "storage": await probed(probes.storage)}
    summary = {name: str(part["status"]) for name, part in parts.items()}
    summary["service_bus"] = str((await probed(probes.broker))["status"]) if runtime.bus else "not_configured"
    ready = "unhealthy" not in summary.values()
    known = summary["database"] == "healthy"
    if not ready:
        response.status_code = 503
    return PlatformHealth(
        status="healthy" if ready else "unhealthy",
        ready_for_jobs=ready,
        summary=summary,
        jobs=await hurriedly(runtime.reports.throughput) if known else None,
        timestamp=await hurriedly(runtime.jobs.now) if known else None,
    )
