"""CoreMachine's durable state in PostgreSQL: each method is one statement or one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import psycopg
from psycopg.rows import class_row
from pydantic import JsonValue

from core.contracts.effects import Effect
from core.errors import ErrorKind, StaleAttempt
from core.machine.store import (
    Accepted,
    Claimed,
    FailureDecision,
    Finished,
    JobOutcome,
    JobToAdvance,
    NewJob,
    NewStage,
    NextStep,
    SideEffect,
    StoredResult,
)
from core.states import StageStatus
from infrastructure.postgres import revisions
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("machine")
_NOT_HELD = "GM001"  #: raised by app.complete_one and app.advance_jobs


class PostgresJobStore:
    """The JobStore over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, job: NewJob) -> Accepted:
        """Accept a job; the one statement is its transaction."""
        with connection(self._pool) as conn:
            return submit_in(conn, job)

    def submit_all(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Accept several jobs in one transaction, sent in one go."""
        ordered = sorted(jobs, key=lambda job: job.job_id)  # two callers with the same jobs wait, and do not deadlock
        with transaction(self._pool) as conn, conn.pipeline():
            cursors = [conn.cursor(row_factory=class_row(Accepted)) for _ in ordered]
            for cursor, job in zip(cursors, ordered, strict=True):
                cursor.execute(_SQL["submit_job"], _job(job, rerun=False))
            accepted = {job.job_id: _one(cursor) for cursor, job in zip(cursors, ordered, strict=True)}
        return [accepted[job.job_id] for job in jobs]

    def step(
        self, worker: str, queues: Sequence[str], limit: int, lease: float, done: Sequence[Finished]
    ) -> list[Claimed]:
        """Complete, claim and count down in one statement."""
        parameters = {
            "worker": worker,
            "queues": list(queues),
            "limit": limit,
            "lease": lease,
            "queue_ids": [f.claimed.queue_id for f in done],
            "attempts": [f.claimed.attempt for f in done],
            "results": [f.output for f in done],
            "durations": [f.duration for f in done],
        }
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Claimed)) as cursor:
            return cursor.execute(_SQL["step"], parameters, prepare=True).fetchall()

    def complete(
        self, worker: str, lease: float, finished: Finished, effects: Sequence[Effect]
    ) -> list[Claimed] | None:
        """Effects first, the counter last; all undone when the task is no longer held."""
        parameters = {
            **_held(worker, finished.claimed),
            "lease": lease,
            "result": finished.output,
            "duration": finished.duration,
        }
        try:
            with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(Claimed)) as cursor:
                revisions.write(conn, finished.claimed.job_key, effects)
                return cursor.execute(_SQL["complete_one"], parameters).fetchall()
        except psycopg.Error as e:
            if e.sqlstate == _NOT_HELD:
                return None
            raise

    def fail(
        self, worker: str, claimed: Claimed, *, kind: ErrorKind, code: str, message: str, hint: str | None, delay: float
    ) -> FailureDecision:
        """Record a failed attempt."""
        parameters = {
            **_held(worker, claimed),
            "kind": kind.value,
            "code": code,
            "message": message.replace("\0", ""),  # PostgreSQL has no NUL in text
            "hint": hint,
            "delay": delay,
        }
        with connection(self._pool) as conn:
            return cast("FailureDecision", _scalar(conn, "fail_task", parameters))

    def release(self, worker: str, claimed: Claimed) -> bool:
        """Give an unfinished item back."""
        with connection(self._pool) as conn:
            return bool(_scalar(conn, "release_task", _held(worker, claimed)))

    def release_unknown(self, worker: str, known: Sequence[Claimed]) -> int:
        """Give back what is leased without our knowing."""
        with connection(self._pool) as conn:
            return _count(conn, "release_unknown", {"worker": worker, "known": [c.queue_id for c in known]})

    def worker_died(
        self, worker: str, running: tuple[int, int] | None, *, code: str, message: str, hint: str | None
    ) -> int:
        """Charge what ran, give back the rest: two transactions, since together they would lock jobs in any order."""
        if running is not None:
            queue_id, attempt = running
            parameters = {
                "worker": worker,
                "queue_id": queue_id,
                "attempt": attempt,
                "kind": ErrorKind.RESOURCE.value,
                "code": code,
                "message": message,
                "hint": hint,
                "delay": 0.0,
            }
            with connection(self._pool) as conn:
                _scalar(conn, "fail_task", parameters)
        return self.release_unknown(worker, [])

    def renew(self, worker: str, held: Sequence[Claimed], lease: float) -> set[int]:
        """Extend leases."""
        parameters = {
            "worker": worker,
            "lease": lease,
            "queue_ids": [c.queue_id for c in held],
            "attempts": [c.attempt for c in held],
        }
        with connection(self._pool) as conn:
            return {row[0] for row in conn.execute(_SQL["renew"], parameters)}

    def report_progress(self, worker: str, claimed: Claimed, percent: float, message: str) -> None:
        """Show progress."""
        with connection(self._pool) as conn:
            conn.execute(_SQL["report_progress"], {**_held(worker, claimed), "percent": percent, "message": message})

    def save_checkpoint(self, worker: str, claimed: Claimed, phase: int, data: Mapping[str, JsonValue]) -> bool:
        """Keep a finished phase."""
        parameters = {
            **_held(worker, claimed),
            "phase": phase,
            "name": f"phase {phase}",
            "data": json.dumps(dict(data)),
        }
        with connection(self._pool) as conn:
            return conn.execute(_SQL["save_checkpoint"], parameters).rowcount == 1

    def to_advance(self, items: Sequence[Claimed]) -> list[JobToAdvance]:
        """The jobs and results behind advance items."""
        parameters = {
            "queue_ids": [c.queue_id for c in items],
            "job_keys": [c.job_key for c in items],
            "stages": [c.stage for c in items],
        }
        jobs: dict[int, tuple[str, JsonValue, StageStatus]] = {}
        results: dict[int, list[StoredResult]] = {}
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["to_advance"], parameters, prepare=True)
            for queue_id, is_job, name, key, document, *error in rows:
                if is_job:
                    jobs[queue_id] = (name, document, StageStatus(key))
                else:
                    results.setdefault(queue_id, []).append(StoredResult(name, key, document, *error))
        known = [item for item in items if item.queue_id in jobs]
        return [JobToAdvance(item, *jobs[item.queue_id], results.get(item.queue_id, [])) for item in known]

    def advance(
        self, worker: str, steps: Sequence[NextStep], queues: Sequence[str], limit: int, lease: float
    ) -> list[Claimed]:
        """Next stages, ends and new claims, in one statement."""
        stages = [step.following for step in steps if isinstance(step.following, NewStage)]
        parameters = {
            "worker": worker,
            "steps": json.dumps([_step(step) for step in steps]),
            "keys": text_array(key for stage in stages for key in stage.keys),
            "parameters": text_array(text for stage in stages for text in stage.parameters),
            "queues": list(queues),
            "limit": limit,
            "lease": lease,
        }
        try:
            with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Claimed)) as cursor:
                return cursor.execute(_SQL["advance_jobs"], parameters, prepare=True).fetchall()
        except psycopg.Error as e:
            if e.sqlstate == _NOT_HELD:
                raise StaleAttempt from e
            raise

    def fail_stage(self, worker: str, claimed: Claimed) -> bool:
        """Fail the job of a failed stage."""
        with connection(self._pool) as conn:
            return bool(_scalar(conn, "fail_stage", _held(worker, claimed)))

    def sweep_leases(self, worker: str, limit: int) -> int:
        """Put expired leases through the failure path."""
        with connection(self._pool) as conn:
            return _count(conn, "sweep_leases", {"worker": worker, "limit": limit})

    def mend(self, worker: str, limit: int) -> int:
        """Give stranded jobs their open work back, remove that of ended ones."""
        with connection(self._pool) as conn:
            return _count(conn, "mend", {"worker": worker, "limit": limit})

    def archive(self, days: float, limit: int) -> int:
        """Remove tasks and events of jobs long ended."""
        with connection(self._pool) as conn:
            return _count(conn, "archive_jobs", {"days": days, "limit": limit})

    def drop_archived(self, days: float, limit: int) -> int:
        """Remove archived jobs that no review refers to."""
        with connection(self._pool) as conn:
            return _count(conn, "drop_jobs", {"days": days, "limit": limit})

    def claim_side_effects(self, worker: str, limit: int, lease: float) -> list[SideEffect]:
        """Lease due outbox rows."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(SideEffect)) as cursor:
            return cursor.execute(_SQL["claim_outbox"], {"worker": worker, "limit": limit, "lease": lease}).fetchall()

    def side_effect_delivered(self, effect: SideEffect) -> None:
        """Settle it, with its event."""
        with connection(self._pool) as conn:
            conn.execute(_SQL["outbox_delivered"], {"outbox_id": effect.outbox_id, "attempts": effect.attempts})

    def side_effect_failed(self, effect: SideEffect, error: str, delay: float) -> None:
        """Put it back or among the dead letters, with its event."""
        parameters = {
            "outbox_id": effect.outbox_id,
            "attempts": effect.attempts,
            "error": error.replace("\0", ""),
            "delay": delay,
        }
        with connection(self._pool) as conn:
            conn.execute(_SQL["outbox_failed"], parameters)


def submit_in(conn: Connection, job: NewJob, *, rerun: bool = False) -> Accepted:
    """Accept a job inside the caller's transaction; with `rerun`, again although it completed."""
    with conn.cursor(row_factory=class_row(Accepted)) as cursor:
        cursor.execute(_SQL["submit_job"], _job(job, rerun=rerun), prepare=True)
        return _one(cursor)


def text_array(values: Iterable[str]) -> str:
    """A literal of type text[]. The driver takes three times as long for one of a hundred thousand."""
    quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


def _one(cursor: psycopg.Cursor[Accepted]) -> Accepted:
    accepted = cursor.fetchone()
    assert accepted is not None  # the function returns a row in every case
    return accepted


def _job(job: NewJob, *, rerun: bool) -> dict[str, object]:
    return {
        "job_id": job.job_id,
        "job_type": job.job_type,
        "parameters": job.parameters,
        "total_stages": job.total_stages,
        "submitted_by": job.submitted_by,
        "correlation_id": job.correlation_id,
        "callbacks": list(job.callbacks),
        "rerun": rerun or job.repeatable,
        **_stage(job.first_stage),
        "keys": text_array(job.first_stage.keys),
        "stage_parameters": text_array(job.first_stage.parameters),
    }


def _step(step: NextStep) -> dict[str, object]:
    """A step as app.next_step has it."""
    row: dict[str, object] = {
        "queue_id": step.claimed.queue_id,
        "attempt": step.claimed.attempt,
        "job_key": step.claimed.job_key,
    }
    match step.following:
        case NewStage() as stage:
            return {**row, **_stage(stage), "tasks": len(stage.keys)}
        case JobOutcome(result, approval):
            asked = {
                "items": approval and list(approval.items),
                "classification": approval and approval.classification,
            }
            return {**row, **asked, "result": result}


def _held(worker: str, claimed: Claimed) -> dict[str, object]:
    return {"worker": worker, "queue_id": claimed.queue_id, "attempt": claimed.attempt}


def _stage(stage: NewStage) -> dict[str, object]:
    return {
        "stage": stage.number,
        "name": stage.name,
        "task_type": stage.task_type,
        "queue": stage.queue,
        "heavy": stage.heavy,
        "max_failures": stage.max_failures,
        "on_failure": stage.on_failure.value,
    }


def _scalar(conn: Connection, name: str, parameters: Mapping[str, object]) -> object:
    row = conn.execute(_SQL[name], parameters).fetchone()
    return row[0] if row else None


def _count(conn: Connection, name: str, parameters: Mapping[str, object]) -> int:
    return int(cast("int", _scalar(conn, name, parameters)))
