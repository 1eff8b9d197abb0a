"""`/api/jobs/{job_id}/events`: what happened to a job."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, JsonValue

from core.machine.identity import TaskId
from core.models.events import JobEventStatus, JobEventType
from core.states import terminal_job_statuses
from infrastructure.postgres.job_views import JobView
from infrastructure.postgres.timeline import EventFilter, EventView
from triggers.http.access import TheRuntime
from triggers.http.paging import Cursor, Limit, cursor, position
from triggers.http.scope import TheJob

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
_KIND = "events"

Since = Annotated[AwareDatetime | None, Query(description="Not before this moment.")]
StageNumber = Annotated[int | None, Query(ge=1, le=32767)]
TaskIndex = Annotated[int | None, Query(ge=0, lt=1 << 31)]


class Event(BaseModel):
    """One line of a job's history."""

    event_id: int
    event_type: str
    event_status: str
    stage: int | None
    task_id: str | None
    task_index: int | None
    attempt: int | None
    checkpoint_name: str | None
    error_code: str | None
    error_message: str | None
    worker: str | None
    duration_ms: int | None
    event_data: dict[str, JsonValue]
    created_at: datetime


class EventPage(BaseModel):
    """Some of a job's history. `next_cursor` is null at its end; oldest first, that is not before the job has ended."""

    job_id: str
    run: int
    event_count: int
    events: list[Event]
    next_cursor: str | None


class EventKind(BaseModel):
    """How often something happened, and when first and last; of completed tasks only the stage's begin is known."""

    event_type: str
    event_status: str
    count: int
    first: datetime
    last: datetime | None


class StageDuration(BaseModel):
    """How long a stage took, or takes so far in `duration_ms` null."""

    stage: int
    name: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    duration_ms: int | None


class EventSummary(BaseModel):
    """A job's history in numbers."""

    job_id: str
    run: int
    total: int
    by_type: dict[str, int]
    by_status: dict[str, int]
    kinds: list[EventKind]
    first_event_at: datetime | None
    last_event_at: datetime | None
    retries: int
    stages: list[StageDuration]


class EventFailure(BaseModel):
    """Why a job failed, or what failed last in one that goes on."""

    job_id: str
    run: int
    has_failure: bool
    failure_event: Event | None
    preceding_events: list[Event]
    last_successful_step: Event | None


@router.get("/{job_id}/events")
def events(
    job: TheJob,
    runtime: TheRuntime,
    limit: Limit = 50,
    after: Cursor = None,
    order: Annotated[Literal["asc", "desc"], Query(description="Oldest or newest first.")] = "asc",
    event_type: JobEventType | None = None,
    event_status: JobEventStatus | None = None,
    stage: StageNumber = None,
    task_index: TaskIndex = None,
    since: Since = None,
    include_task_events: bool = True,
) -> EventPage:
    """What happened, a page at a time. Following `next_cursor` to the end misses no event and shows none twice."""
    kind = f"{_KIND}-{order}"
    found = position(kind, after, 1)
    wanted = EventFilter(event_type, only(event_status), stage, task_index, since, include_task_events)
    rows = runtime.history.page(
        job, wanted, limit=limit, position=found[0] if found else None, newest_first=order == "desc"
    )
    last = rows[-1].event_id if rows else found[0] if found else 0
    more = len(rows) == limit or (order == "asc" and job.status not in terminal_job_statuses())
    return EventPage(
        job_id=job.job_id,
        run=job.run,
        event_count=len(rows),
        events=[event(e, job) for e in rows],
        next_cursor=cursor(kind, last) if more else None,
    )


@router.get("/{job_id}/events/latest")
def latest(
    job: TheJob,
    runtime: TheRuntime,
    limit: Annotated[int, Query(ge=1, le=500)] = 10,
    event_type: JobEventType | None = None,
    event_status: JobEventStatus | None = None,
    include_task_events: bool = True,
) -> EventPage:
    """What happened last, newest first."""
    wanted = EventFilter(event_type, only(event_status), task_events=include_task_events)
    rows = runtime.history.latest(job, wanted, limit)
    found = [event(e, job) for e in rows]
    return EventPage(job_id=job.job_id, run=job.run, event_count=len(rows), events=found, next_cursor=None)


@router.get("/{job_id}/events/summary")
def summary(job: TheJob, runtime: TheRuntime) -> EventSummary:
    """How often what happened, how long each stage took, how often something was tried again."""
    counts = runtime.history.counts(job)
    by_type: dict[str, int] = {}
    by_status: dict[str, int] = {}
    for c in counts:
        by_type[c.event_type] = by_type.get(c.event_type, 0) + c.count
        by_status[c.event_status] = by_status.get(c.event_status, 0) + c.count
    newest = runtime.history.latest(job, EventFilter(), 1)
    return EventSummary(
        job_id=job.job_id,
        run=job.run,
        total=sum(by_type.values()),
        by_type=by_type,
        by_status=by_status,
        kinds=[EventKind(**vars(c)) for c in counts],
        first_event_at=min((c.first for c in counts), default=None),
        last_event_at=newest[0].created_at if newest else None,
        retries=by_type.get(JobEventType.TASK_RETRYING, 0) + by_type.get(JobEventType.LEASE_EXPIRED, 0),
        stages=[
            StageDuration(
                stage=s.stage,
                name=s.name,
                status=s.status,
                started_at=s.started_at,
                finished_at=s.finished_at,
                duration_ms=milliseconds(s.started_at, s.finished_at),
            )
            for s in runtime.jobs.stages(job)
        ],
    )


@router.get("/{job_id}/events/failure")
def failure(job: TheJob, runtime: TheRuntime) -> EventFailure:
    """What failed, what came before it, and the last step that had gone well."""
    found = runtime.history.failure(job)
    return EventFailure(
        job_id=job.job_id,
        run=job.run,
        has_failure=found is not None,
        failure_event=found and event(found.event, job),
        preceding_events=[event(e, job) for e in found.preceding] if found else [],
        last_successful_step=event(found.last_success, job) if found and found.last_success else None,
    )


def only(status: JobEventStatus | None) -> tuple[JobEventStatus, ...] | None:
    """A filter by one status."""
    return None if status is None else (status,)


def event(view: EventView, job: JobView) -> Event:
    """An event as callers see it."""
    return event_of(view, job.job_id)


def event_of(view: EventView, job_id: str) -> Event:
    """An event of the job of that id."""
    on_task = view.stage is not None and view.task_index is not None
    task = str(TaskId(job_id, view.stage or 0, view.task_index or 0)) if on_task else None
    return Event(**vars(view), task_id=task)


def milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    """The time between; None while one of them is unknown."""
    return None if start is None or end is None else int((end - start).total_seconds() * 1000)
