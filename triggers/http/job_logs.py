"""`/api/jobs/{job_id}/logs`: a job's history as lines of a log, with the trace that has its details."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, JsonValue

from core.models.events import JobEventStatus
from infrastructure.postgres.timeline import EventFilter
from infrastructure.telemetry.traces import trace_id
from triggers.http.access import TheRuntime
from triggers.http.history import Event, event
from triggers.http.scope import TheJob

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


class Level(StrEnum):
    """How grave a line is."""

    INFO = "INFO"  #: ordinary
    WARNING = "WARNING"  #: went wrong, and is being mended
    ERROR = "ERROR"  #: went wrong


_GRAVE: Mapping[JobEventStatus, Level] = {
    JobEventStatus.FAILURE: Level.ERROR,
    JobEventStatus.WARNING: Level.WARNING,
}
_ORDER = list(Level)
_LOOKED_AT = 5000  #: of the newest lines, to find those of one component


class LogLine(BaseModel):
    """One line. `component` is what the event is about: job, stage, task, callback."""

    timestamp: datetime
    level: Level
    component: str
    event: str
    message: str
    stage: int | None
    task_id: str | None
    attempt: int | None
    worker: str | None
    code: str | None
    data: dict[str, JsonValue]


class JobLogs(BaseModel):
    """The newest lines first. `trace_id` finds the job in collected traces, `correlation_id` in processes' logs."""

    success: bool = True
    job_id: str
    run: int
    trace_id: str
    correlation_id: str | None
    logs: list[LogLine]
    row_count: int
    level_filter: Level
    timespan: timedelta


@router.get("/{job_id}/logs")
def logs(
    job: TheJob,
    runtime: TheRuntime,
    level: Annotated[Level, Query(description="This and graver.")] = Level.INFO,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    timespan: Annotated[timedelta, Query(ge=timedelta(), description="How far back, ISO 8601.")] = timedelta(days=1),
    component: Annotated[
        str | None, Query(pattern=r"^[a-z]{1,20}$", description="job, stage, task or callback.")
    ] = None,
) -> JobLogs:
    """What happened to a job, as a log; newest first."""
    wanted = _ORDER[_ORDER.index(level) :]
    statuses = tuple(status for status in JobEventStatus if _level(status) in wanted)
    since = max(datetime.now(UTC) - min(timespan, timedelta(days=36500)), job.created_at)
    looked_at = limit if component is None else _LOOKED_AT
    found = runtime.history.latest(job, EventFilter(event_statuses=statuses, since=since), looked_at)
    told = [_line(event(e, job)) for e in found]
    lines = [line for line in told if component in (None, line.component)][:limit]
    return JobLogs(
        job_id=job.job_id,
        run=job.run,
        trace_id=trace_id(job.job_id),
        correlation_id=job.correlation_id,
        logs=lines,
        row_count=len(lines),
        level_filter=level,
        timespan=timespan,
    )


def _level(status: JobEventStatus) -> Level:
    return _GRAVE.get(status, Level.INFO)


def _line(told: Event) -> LogLine:
    return LogLine(
        timestamp=told.created_at,
        level=_level(JobEventStatus(told.event_status)),
        component=_component(told),
        event=told.checkpoint_name or told.event_type,
        message=told.error_message or (told.checkpoint_name or told.event_type).replace("_", " "),
        stage=told.stage,
        task_id=told.task_id,
        attempt=told.attempt,
        worker=told.worker,
        code=told.error_code,
        data=told.event_data,
    )


def _component(told: Event) -> str:
    if told.event_type.startswith("callback"):
        return "callback"
    return "task" if told.task_index is not None else "stage" if told.event_type.startswith("stage") else "job"
