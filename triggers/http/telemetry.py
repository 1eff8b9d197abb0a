"""`/api/metrics` for Prometheus, and `/test/logging`: does this process log, and does anybody collect it?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from core.contracts.principals import Principal
from core.errors import NotFound
from infrastructure.telemetry import trial
from infrastructure.telemetry.providers import collected, prometheus_reads
from triggers.http.access import TheRuntime
from triggers.http.auth import Requires, principal
from triggers.http.gate import METRICS_READER
from triggers.http.scope import Admin

router = APIRouter(tags=["telemetry"])


class ReadsMetrics(Requires):
    """Lets admins in, and whoever has the key that may read metrics and nothing else."""

    def __call__(self, caller: Annotated[Principal | None, Depends(principal)]) -> Principal:
        """The caller. Raises Unauthenticated or Forbidden."""
        if caller is not None and caller.credential == METRICS_READER.credential:
            return caller
        return super().__call__(caller)


class LoggingTest(BaseModel):
    """What was logged: a line of each level with this marker."""

    marker: str
    levels: list[str]
    verify_url: str


class LoggingState(BaseModel):
    """What became of it. `working` is true when a line of every level that `level` lets through was written as JSON."""

    marker: str
    working: bool
    level: str
    written: list[str]
    with_request_id: bool
    collectors: dict[str, bool]


@router.get("/api/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(_: Annotated[Principal, Depends(ReadsMetrics())]) -> Response:
    """Figures of the system and of this process, as Prometheus reads them."""
    if not prometheus_reads():
        raise NotFound(
            "This process keeps no metrics for Prometheus.",
            hint="Ask the service. A Function App sends its own to Application Insights.",
        )
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.post("/test/logging")
def write(_: Admin) -> LoggingTest:
    """Log a line of each level."""
    marker = trial.write()
    return LoggingTest(marker=marker, levels=list(trial.LEVELS), verify_url=f"/test/logging/verify?marker={marker}")


@router.get("/test/logging/verify")
def verify(
    runtime: TheRuntime,
    _: Admin,
    marker: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$", description="That of the answer of POST /test/logging.")],
) -> LoggingState:
    """Which of those lines this process wrote. 404 for a marker that it does not remember."""
    found = trial.find(marker)
    if found is None:
        raise NotFound(
            f"This process remembers no line with the marker {marker}.",
            hint="Another process may have answered, or it does not log at all: send POST /test/logging again.",
        )
    level = runtime.settings.app.log_level
    return LoggingState(
        marker=marker,
        working=found.complete(level),
        level=level.lower(),
        written=list(found.levels),
        with_request_id=found.with_request_id,
        collectors=collected(runtime.settings.telemetry),
    )
