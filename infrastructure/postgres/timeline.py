"""What happened to a job, in order: pages of its history, its failure, and the attempts behind its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql
from psycopg.rows import class_row
from pydantic import JsonValue

from core.models.events import JobEventStatus, JobEventType
from core.states import terminal_job_statuses
from infrastructure.postgres.job_views import JobView, TaskView
from infrastructure.postgres.pool import Connection, Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("timeline")
_PRECEDING = 10


@dataclass(frozen=True)
class EventView:
    """One line of a job's history."""

    event_id: int
    stage: int | None
    task_index: int | None
    attempt: int | None
    event_type: str
    event_status: str
    checkpoint_name: str | None
    error_code: str | None
    error_message: str | None
    worker: str | None
    duration_ms: int | None
    event_data: dict[str, JsonValue]
    created_at: datetime


@dataclass(frozen=True)
class EventFilter:
    """Which events of a job; what is None does not matter."""

    event_type: JobEventType | None = None
    event_statuses: tuple[JobEventStatus, ...] | None = None
    stage: int | None = None
    task_index: int | None = None
    since: datetime | None = None
    task_events: bool = True


@dataclass(frozen=True)
class EventCount:
    """How many events of one kind, and when the first and last of them were. Completions have no `last`."""

    event_type: str
    event_status: str
    count: int
    first: datetime
    last: datetime | None


@dataclass(frozen=True)
class Failure:
    """What went wrong, what came before it, and what had last gone well."""

    event: EventView
    preceding: Sequence[EventView]
    last_success: EventView | None


@dataclass(frozen=True)
class AttemptEvent:
    """Something that happened to a task besides completing."""

    stage: int
    task_index: int
    event_id: int
    attempt: int | None
    event_type: str
    checkpoint_name: str | None
    error_code: str | None
    error_message: str | None
    worker: str | None
    created_at: datetime


class JobHistory:
    """Queries over a pool. Writes nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def page(
        self, job: JobView, wanted: EventFilter, *, limit: int, position: int | None, newest_first: bool
    ) -> list[EventView]:
        """Events after the position, or before it. An event comes once it is certain that none can appear before it."""
        values, asked = _values(wanted) | {"position": position}, _conditions(wanted)
        if position is not None:
            asked.append("events_before" if newest_first else "events_after")
        with connection(self._pool) as conn:
            if job.status not in terminal_job_statuses():  # whoever ended it waited for all who wrote about it
                horizon = conn.execute(_SQL["horizon"]).fetchone()
                values["horizon"] = horizon and horizon[0]
                asked.append("events_settled")
            return _select(conn, job, asked, values, limit, newest_first=newest_first)

    def latest(self, job: JobView, wanted: EventFilter, limit: int, before: int | None = None) -> list[EventView]:
        """The newest events first, as far as they can be seen; only older ones than an event."""
        conditions, values = [*_conditions(wanted)], {**_values(wanted)}
        if before is not None:
            conditions.append("events_before")
            values["position"] = before
        with connection(self._pool) as conn:
            return _select(conn, job, conditions, values, limit, newest_first=True)

    def counts(self, job: JobView) -> list[EventCount]:
        """Events by type and status."""
        with connection(self._pool) as conn, conn.cursor() as cursor:
            rows = cursor.execute(_SQL["counts"], {"job_key": job.job_key}).fetchall()
        return [EventCount(*row) for row in rows]

    def failure(self, job: JobView) -> Failure | None:
        """The latest failure; of a failed job, what made it fail. None when nothing has failed."""
        with connection(self._pool) as conn:
            with conn.cursor(row_factory=class_row(EventView)) as cursor:
                found = cursor.execute(_SQL["failures"], {"job_key": job.job_key}).fetchall()
            if not found:
                return None
            event = next((e for e in found if e.event_type != JobEventType.JOB_FAILED), found[0])
            before: dict[str, object] = {"position": event.event_id, "event_statuses": [JobEventStatus.SUCCESS.value]}
            preceding = _select(conn, job, ["events_before"], before, _PRECEDING, newest_first=True)
            success = ["events_before", "events_event_statuses"]
            last = _select(conn, job, success, before, 1, newest_first=True)
        return Failure(event, preceding[::-1], last[0] if last else None)

    def attempts(self, job: JobView, tasks: Sequence[TaskView]) -> dict[tuple[int, int], list[AttemptEvent]]:
        """What happened to these tasks besides completing, by stage and index, in order."""
        values = {
            "job_key": job.job_key,
            "stages": [t.stage for t in tasks],
            "indexes": [t.task_index for t in tasks],
        }
        found: dict[tuple[int, int], list[AttemptEvent]] = {}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(AttemptEvent)) as cursor:
            for event in cursor.execute(_SQL["attempts"], values):
                found.setdefault((event.stage, event.task_index), []).append(event)
        return found


def _values(wanted: EventFilter) -> dict[str, object]:
    return {
        "event_type": wanted.event_type and wanted.event_type.value,
        "event_statuses": wanted.event_statuses and [status.value for status in wanted.event_statuses],
        "stage": wanted.stage,
        "task_index": wanted.task_index,
        "since": wanted.since,
    }


def _conditions(wanted: EventFilter) -> list[str]:
    asked = [f"events_{name}" for name, value in _values(wanted).items() if value is not None]
    if not wanted.task_events:
        asked.append("events_of_job")
    elif wanted.event_type not in (None, JobEventType.TASK_COMPLETED):
        asked.append("events_untypical")
    return asked


def _select(
    conn: Connection,
    job: JobView,
    conditions: Iterable[str],
    values: Mapping[str, object],
    limit: int,
    *,
    newest_first: bool,
) -> list[EventView]:
    statement = sql.SQL(_SQL["events"]).format(
        conditions=sql.SQL(" ").join(sql.SQL(_SQL[name]) for name in conditions),
        direction=sql.SQL(_SQL["descending" if newest_first else "ascending"]),
    )
    with conn.cursor(row_factory=class_row(EventView)) as cursor:
        return cursor.execute(statement, {**values, "job_key": job.job_key, "limit": limit}, prepare=False).fetchall()
