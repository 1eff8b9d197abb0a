"""Reading jobs, stages, tasks and events for people and programs. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from psycopg import sql
from psycopg.rows import class_row, dict_row

from core.contracts.situations import OpenItem, OpenState
from core.errors import DatabaseUnavailable, NotFound
from core.states import JobStatus
from infrastructure.postgres.job_views import JobFilter, JobRow, JobView, StageView, TaskFilter, TaskView
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("jobs")


class JobReader:
    """Queries over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def job(self, job_id: str, run: int | None = None) -> JobView:
        """The current run of the job of that id, or the run asked for. Raises NotFound."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(JobView)) as cursor:
            found = cursor.execute(_SQL["job"], {"job_id": job_id, "run": run}).fetchone()
        if found is None:
            raise NotFound(f"There is no job {job_id!r}{'' if run is None else f' with a run {run}'}.")
        return found

    def status_of(self, job_key: int) -> str | None:
        """How one run is; None for a deleted one."""
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["status_of"], {"job_key": job_key}).fetchone()
        return str(row[0]) if row else None

    def statuses(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        """How the current run of each job is; those that were never asked for are left out."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["statuses"], {"job_ids": list(job_ids)})
            return {str(job_id): JobStatus(status) for job_id, status in rows}

    def asked_for(self, job_id: str, client_id: str) -> bool:
        """True when the client has a request that this job carries out, whoever was first to ask for the work."""
        with connection(self._pool) as conn:
            return conn.execute(_SQL["asked_for"], {"job_id": job_id, "client_id": client_id}).fetchone() == (True,)

    def jobs(self, wanted: JobFilter, limit: int) -> list[JobRow]:
        """Current runs, newest first."""
        values: dict[str, object] = {
            "status": wanted.status and wanted.status.value,
            "job_type": wanted.job_type,
            "submitted_by": wanted.submitted_by,
            "created_after": wanted.created_after,
            "created_before": wanted.created_before,
            "q": wanted.q,
        }
        asked = [f"jobs_{name}" for name, value in values.items() if value is not None]
        if wanted.before is not None:
            asked.append("jobs_before")
            values |= {"before_at": wanted.before[0], "before_key": wanted.before[1]}
        # Planned anew each time: which index is best depends on the values.
        statement = conditional("jobs", asked)
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(JobRow)) as cursor:
            return cursor.execute(statement, {**values, "limit": limit}, prepare=False).fetchall()

    def runs(self, job_id: str, limit: int) -> list[JobRow]:
        """Every run of a piece of work, newest first."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(JobRow)) as cursor:
            return cursor.execute(_SQL["runs"], {"job_id": job_id, "limit": limit}).fetchall()

    def stages(self, job: JobView) -> list[StageView]:
        """The stages begun so far."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(StageView)) as cursor:
            return cursor.execute(_SQL["stages"], {"job_key": job.job_key}).fetchall()

    def tasks(self, job: JobView, limit: int, wanted: TaskFilter | None = None) -> list[TaskView]:
        """The tasks created so far, in order of stage and index."""
        wanted = wanted or TaskFilter()
        values: dict[str, object] = {"stage": wanted.stage, "worker": wanted.worker, "error_code": wanted.error_code}
        asked = [f"tasks_{name}" for name, value in values.items() if value is not None]
        if wanted.state is not None:
            asked.append(f"tasks_{wanted.state}")
        if wanted.after is not None:
            asked.append("tasks_after")
            values |= {"after_stage": wanted.after[0], "after_index": wanted.after[1]}
        values |= {"job_key": job.job_key, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(TaskView)) as cursor:
            return cursor.execute(conditional("tasks", asked), values, prepare=False).fetchall()

    def open_item(self, job: JobView) -> OpenItem | None:
        """The job's most telling piece of open work; None when it has none."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(OpenItem)) as cursor:
            found = cursor.execute(_SQL["open_item"], {"job_key": job.job_key}).fetchone()
        return found and replace(found, state=OpenState(found.state))

    def now(self) -> datetime:
        """The database's time."""
        with connection(self._pool) as conn:
            return cast("tuple[datetime]", conn.execute(_SQL["clock"]).fetchone())[0]

    def backlog(self) -> list[dict[str, object]]:
        """Open work by queue."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_SQL["backlog"]).fetchall()

    def leases(self) -> dict[str, object]:
        """Leased items, leases that have run out, and the workers that hold either."""
        return self._row("leases")

    def outbox_backlog(self) -> dict[str, object]:
        """Side effects that wait, and those given up."""
        return self._row("outbox_backlog")

    def machine_standing(self) -> dict[str, object]:
        """Stranded jobs, open dead letters, and when the janitor last mended something."""
        return self._row("machine_standing")

    def versions(self) -> dict[str, object]:
        """What the database server is. Raises DatabaseUnavailable where our schema is not there."""
        found = self._row("versions")
        if not found.pop("has_schema"):
            raise DatabaseUnavailable(
                "The database answers and has no schema of ours.",
                hint="An operator runs ./geomachine db ensure; while it is rebuilt, try again later.",
            )
        return found

    def _row(self, name: str) -> dict[str, object]:
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_SQL[name]).fetchone() or {}


def conditional(name: str, conditions: Iterable[str]) -> sql.Composed:
    """A statement of jobs.sql with the named conditions put in."""
    return sql.SQL(_SQL[name]).format(conditions=sql.SQL(" ").join(sql.SQL(_SQL[c]) for c in conditions))
