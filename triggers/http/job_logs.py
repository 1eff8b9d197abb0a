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
from triggers.http.paging import Cursor, Limit, cursor, position
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
_LOOKED_AT = 5000  #: lines for one page, to find those of one component
_KIND = "logs"


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
    """The newest lines first; `next_cursor` is null at the end.

    `trace_id` finds the job in collected traces, `correlation_id` in processes' logs.
    """

    success: bool = True
    job_id: str
    run: int
    trace_id: str
    correlation_id: str | None
    logs: list[LogLine]
    row_count: int
    level_filter: Level
    timespan: timedelta
    next_cursor: str | None


@router.get("/{job_id}/logs")
def logs(
    job: TheJob,
    runtime: TheRuntime,
    level: Annotated[Level, Query(description="This and graver.")] = Level.INFO,
    limit: Limit = 100,
    after: Cursor = None,
    timespan: Annotated[timedelta, Query(ge=timedelta(), description="How far back, ISO 8601.")] = timedelta(days=1),
    component: Annotated[
        str | None, Query(pattern=r"^[a-z]{1,20}$", description="job, stage, task or callback.")
    ] = None,
) -> JobLogs:
    """What happened to a job, as a log; newest first. Pages of one `component` may be short."""
    wanted = _ORDER[_ORDER.index(level) :]
    statuses = tuple(status for status in JobEventStatus if _level(status) in wanted)
    since = max(datetime.now(UTC) - min(timespan, timedelta(days=36500)), job.created_at)
    looked_at = limit if component is None else _LOOKED_AT
    place = position(_KIND, after, 1)
    wanted_events = EventFilter(event_statuses=statuses, since=since)
    found = runtime.history.latest(job, wanted_events, looked_at, place[0] if place else None)
    told = [(e.event_id, _line(event(e, job))) for e in found]
    page = [(number, line) for number, line in told if component in (None, line.component)][:limit]
    last = page[-1][0] if len(page) == limit else found[-1].event_id if len(found) == looked_at else None
    return JobLogs(
        job_id=job.job_id,
        run=job.run,
        trace_id=trace_id(job.job_id),
        correlation_id=job.correlation_id,
        logs=[line for _, line in page],
        row_count=len(page),
        level_filter=level,
        timespan=timespan,
        next_cursor=last and cursor(_KIND, last),
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
