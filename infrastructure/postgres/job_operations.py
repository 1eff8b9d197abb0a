"""What people do to jobs: cancel, retry, run again, delete. Each method is one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row, dict_row
from pydantic import JsonValue

from core.contracts.cleanup import Rows
from core.contracts.principals import Principal
from core.errors import Conflict, NotFound
from core.machine.store import Accepted, NewJob
from core.models.audit import AuditAction
from core.states import JobStatus, terminal_job_statuses
from infrastructure.postgres import audit
from infrastructure.postgres.job_store import submit_in
from infrastructure.postgres.job_views import JobView
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("operations")
_LETTERS = Queries("dead_letters")


@dataclass(frozen=True)
class Retried:
    """The run that does again what had not succeeded: its first stage with something to do, and how many tasks."""

    job_key: int
    run: int
    stage: int
    reopened: int


class JobOperations:
    """Commands over a pool. `by` is who gave them; it goes into the job's history and the audit log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, job: NewJob, by: Principal) -> Accepted:
        """Accept a job; the same work is accepted once, a failed one runs again."""
        [accepted] = self.submit_all([job], by)
        return accepted

    def submit_all(self, jobs: Sequence[NewJob], by: Principal) -> list[Accepted]:
        """Accept several, all or none."""
        with transaction(self._pool) as conn:
            answers = [submit_in(conn, job) for job in jobs]
            for job, accepted in zip(jobs, answers, strict=True):
                if accepted.created:
                    told: dict[str, JsonValue] = {"job_type": job.job_type, "run": accepted.run}
                    audit.record(conn, by, AuditAction.JOB_SUBMIT, job.job_id, told)
            return answers

    def cancel(self, job: JobView, by: Principal, reason: str) -> bool:
        """Stop a job; False when it has ended already."""
        with transaction(self._pool) as conn:
            cancelled = _true(conn, "cancel_job", {"job_key": job.job_key, "by": by.name, "reason": reason})
            if cancelled:
                audit.record(conn, by, AuditAction.JOB_CANCEL, job.job_id, {"run": job.run, "reason": reason})
            return cancelled

    def cancel_task(self, job: JobView, stage: int, index: int, by: Principal, reason: str) -> None:
        """Stop one task; its job does as its policy says. Raises NotFound, or Conflict for one that has ended."""
        task = {"job_key": job.job_key, "stage": stage, "task_index": index}
        with transaction(self._pool) as conn:
            if _true(conn, "cancel_task", {**task, "by": by.name, "reason": reason}):
                told: dict[str, JsonValue] = {"run": job.run, "stage": stage, "task_index": index, "reason": reason}
                audit.record(conn, by, AuditAction.JOB_CANCEL_TASK, job.job_id, told)
                return
            found = conn.execute(_SQL["task_status"], task).fetchone()
        if found is None:
            raise NotFound(f"Job {job.job_id} has no task {index} in a stage {stage}.")
        raise Conflict(f"Task {index} of stage {stage} is {found[0]} already.")

    def retry(self, job: JobView, by: Principal) -> Retried | None:
        """Run again what did not succeed, keeping what did; None when the job has not ended, or has ended well."""
        with (
            transaction(self._pool) as conn,
            conn.cursor(row_factory=class_row(Retried)) as cursor,
        ):
            made = cursor.execute(_SQL["retry_job"], {"job_key": job.job_key, "by": by.name}).fetchone()
            if made is not None:
                audit.record(conn, by, AuditAction.JOB_RETRY, job.job_id, {"run": made.run, "previous_run": job.run})
            return made

    def run_again(self, job: JobView, again: NewJob, by: Principal, *, force: bool) -> Accepted:
        """Do all of a job again as a new run. Raises Conflict for one that has not ended, unless `force` cancels it."""
        with transaction(self._pool) as conn:
            stop_if_forced(conn, job.job_id, by, "Run again from the start.", force=force)
            accepted = submit_in(conn, again, rerun=True)
            if not accepted.created:
                raise Conflict(f"Job {job.job_id} was run again by somebody else meanwhile.")
            resolution = {"job_key": job.job_key, "by": by.name, "resolution": f"run {accepted.run}"}
            conn.execute(_LETTERS["resolve_run"], resolution)
            tell(conn, accepted.job_key, "resubmitted", {"by": by.name, "run": job.run})
            told: dict[str, JsonValue] = {"run": accepted.run, "previous_run": job.run, "force": force}
            audit.record(conn, by, AuditAction.JOB_RESUBMIT, job.job_id, told)
            return accepted

    def rows(self, job_id: str) -> Rows:
        """How many rows speak of the job."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return Rows.model_validate(cursor.execute(_SQL["count_rows"], {"job_id": job_id}).fetchone())

    def delete(self, job: JobView, by: Principal, *, force: bool) -> Rows:
        """Remove every run of a job and the requests for it. Raises Conflict as `run_again` does; what was removed."""
        with transaction(self._pool) as conn:
            keys = stop_if_forced(conn, job.job_id, by, "Deleted.", force=force)
            with conn.cursor(row_factory=dict_row) as cursor:
                rows = Rows.model_validate(cursor.execute(_SQL["count_rows"], {"job_id": job.job_id}).fetchone())
            for name in ("delete_requests", "delete_reviews", "delete_queue", "delete_jobs"):
                conn.execute(_SQL[name], {"job_id": job.job_id, "job_keys": keys})
            told: dict[str, JsonValue] = {"job_type": job.job_type, "force": force, **rows.model_dump()}
            audit.record(conn, by, AuditAction.JOB_DELETE, job.job_id, told)
            return rows


def stop_if_forced(conn: Connection, job_id: str, by: Principal, reason: str, *, force: bool) -> Sequence[int]:
    """Make sure that no run of the job goes on; the keys of its runs. Raises Conflict or NotFound."""
    for key, _ in conn.execute(_SQL["runs"], {"job_id": job_id}).fetchall():
        conn.execute(_SQL["lock_job"], {"job_key": key})
    runs = conn.execute(_SQL["runs"], {"job_id": job_id}).fetchall()
    if not runs:
        raise NotFound(f"There is no job {job_id!r}.")
    for key, status in runs:
        if JobStatus(status) not in terminal_job_statuses():
            if not force:
                raise Conflict(f"Job {job_id} is {status}.", hint="Wait for its end, cancel it, or give force=true.")
            conn.execute(_SQL["cancel_job"], {"job_key": key, "by": by.name, "reason": reason})
    return [key for key, _ in runs]


def tell(conn: Connection, job_key: int, name: str, data: dict[str, JsonValue]) -> None:
    """Write what a person did into the job's history."""
    conn.execute(_SQL["tell"], {"job_key": job_key, "name": name, "data": json.dumps(data)})


def _true(conn: Connection, name: str, parameters: dict[str, object]) -> bool:
    return conn.execute(_SQL[name], parameters).fetchone() == (True,)
