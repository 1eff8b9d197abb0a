"""Reading jobs, stages, tasks and events for people and programs. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row, dict_row
from pydantic import JsonValue

from core.errors import NotFound
from core.states import JobStatus
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("jobs")


@dataclass(frozen=True)
class JobView:
    """The current run of a job."""

    job_key: int
    job_id: str
    run: int
    job_type: str
    parameters: dict[str, JsonValue]
    status: JobStatus
    stage: int
    total_stages: int
    result: dict[str, JsonValue] | None
    error_code: str | None
    error_message: str | None
    error_hint: str | None
    submitted_by: str | None
    correlation_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", JobStatus(self.status))  # the driver gives text


@dataclass(frozen=True)
class StageView:
    """A stage and its tasks, counted by state. `progress` is that of its furthest running task, 0 to 100."""

    stage: int
    name: str
    task_type: str
    queue: str
    status: str
    expected: int
    remaining: int
    failed: int
    started_at: datetime
    finished_at: datetime | None
    completed: int
    failed_tasks: int
    cancelled: int
    processing: int
    pending_retry: int
    queued: int
    progress: float | None
    progress_message: str | None
    next_retry_at: datetime | None


@dataclass(frozen=True)
class TaskView:
    """One task. `leased_by` names the worker that holds it now."""

    stage: int
    task_index: int
    task_key: str
    task_type: str
    status: str
    attempt: int
    error_code: str | None
    error_message: str | None
    progress: float | None
    progress_message: str | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    leased_by: str | None
    failures: int | None
    visible_at: datetime | None


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


class JobReader:
    """Queries over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def job(self, job_id: str) -> JobView:
        """The job of that id. Raises NotFound."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(JobView)) as cursor:
            found = cursor.execute(_SQL["job"], {"job_id": job_id}).fetchone()
        if found is None:
            raise NotFound(f"There is no job {job_id!r}.")
        return found

    def jobs(self, *, limit: int, status: str | None = None, job_type: str | None = None) -> list[JobView]:
        """The newest jobs first."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(JobView)) as cursor:
            return cursor.execute(_SQL["jobs"], {"limit": limit, "status": status, "job_type": job_type}).fetchall()

    def stages(self, job: JobView) -> list[StageView]:
        """The stages begun so far."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(StageView)) as cursor:
            return cursor.execute(_SQL["stages"], {"job_key": job.job_key}).fetchall()

    def tasks(self, job: JobView, limit: int) -> list[TaskView]:
        """The tasks created so far, in order of stage and index."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(TaskView)) as cursor:
            return cursor.execute(_SQL["tasks"], {"job_key": job.job_key, "limit": limit}).fetchall()

    def events(
        self, job: JobView, *, limit: int, after: int = 0, event_type: str | None = None, task_events: bool = True
    ) -> list[EventView]:
        """The history after the event `after`, oldest first."""
        parameters = {
            "job_key": job.job_key,
            "limit": limit,
            "after": after,
            "event_type": event_type,
            "task_events": task_events,
        }
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(EventView)) as cursor:
            return cursor.execute(_SQL["events"], parameters).fetchall()

    def backlog(self) -> list[dict[str, object]]:
        """Open work by queue."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_SQL["backlog"]).fetchall()

    def outbox_backlog(self) -> dict[str, object]:
        """Side effects that wait, and those given up."""
        return self._row("outbox_backlog")

    def versions(self) -> dict[str, object]:
        """What the database server is."""
        return self._row("versions")

    def _row(self, name: str) -> dict[str, object]:
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_SQL[name]).fetchone() or {}
