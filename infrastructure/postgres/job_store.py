"""CoreMachine's durable state in PostgreSQL: each method is one statement or one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import psycopg
from psycopg.rows import class_row
from pydantic import JsonValue

from core.contracts.effects import Effect
from core.errors import NotFound
from core.machine.identity import TaskId
from core.machine.store import (
    Accepted,
    ApprovalRequest,
    Claimed,
    FailureDecision,
    Finished,
    JobToAdvance,
    NewJob,
    NewStage,
    SideEffect,
    StoredResult,
)
from infrastructure.postgres.effects import apply
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("machine")
_NOT_HELD = "GM001"  #: raised by app.complete_one


class PostgresJobStore:
    """The JobStore over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def submit(self, job: NewJob) -> Accepted:
        """Accept a job in a transaction of its own."""
        with transaction(self._pool) as conn:
            return submit_in(conn, job)

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

    def claim_one(self, worker: str, task: TaskId, lease: float) -> Claimed | None:
        """Lease the named item."""
        parameters = {
            "worker": worker,
            "job_id": task.job_id,
            "stage": task.stage,
            "task_index": task.index,
            "lease": lease,
        }
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Claimed)) as cursor:
            return cursor.execute(_SQL["claim_one"], parameters).fetchone()

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
                for effect in effects:
                    apply(conn, effect)
                return cursor.execute(_SQL["complete_one"], parameters).fetchall()
        except psycopg.Error as e:
            if e.sqlstate == _NOT_HELD:
                return None
            raise

    def fail(
        self, worker: str, claimed: Claimed, *, code: str, message: str, hint: str | None, retry: bool, delay: float
    ) -> FailureDecision:
        """Record a failed attempt."""
        parameters = {
            **_held(worker, claimed),
            "code": code,
            "message": message.replace("\0", ""),  # PostgreSQL has no NUL in text
            "hint": hint,
            "retry": retry,
            "delay": delay,
        }
        with connection(self._pool) as conn:
            return cast("FailureDecision", _scalar(conn, "fail_task", parameters))

    def release(self, worker: str, claimed: Claimed) -> bool:
        """Give an unfinished item back."""
        with connection(self._pool) as conn:
            return bool(_scalar(conn, "release_task", _held(worker, claimed)))

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

    def job_to_advance(self, job_key: int) -> JobToAdvance:
        """The job behind an advance item."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(JobToAdvance)) as cursor:
            found = cursor.execute(_SQL["job_for_advance"], {"job_key": job_key}).fetchone()
        if found is None:
            raise NotFound(f"Job {job_key} was deleted while it advanced.")
        return found

    def stage_results(self, job_key: int, stage: int) -> list[StoredResult]:
        """All outputs up to a stage."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["stage_results"], {"job_key": job_key, "stage": stage})
            return [StoredResult(name, key, output) for name, key, output in rows]

    def advance(self, worker: str, claimed: Claimed, stage: NewStage) -> bool:
        """The next stage, in one statement."""
        with connection(self._pool) as conn:
            return bool(_scalar(conn, "advance_job", {**_held(worker, claimed), **_stage(stage)}))

    def finish(
        self, worker: str, claimed: Claimed, result: str, approval: ApprovalRequest | None, callbacks: Sequence[str]
    ) -> bool:
        """The finished job, its approval record and its outbox rows, in one statement."""
        parameters = {
            **_held(worker, claimed),
            "result": result,
            "collection_id": approval and approval.collection_id,
            "item_id": approval and approval.item_id,
            "classification": approval and approval.classification,
            "callbacks": list(callbacks),
        }
        with connection(self._pool) as conn:
            return bool(_scalar(conn, "finish_job", parameters))

    def sweep_leases(self, limit: int) -> int:
        """Return expired leases to the queue."""
        with connection(self._pool) as conn:
            return int(cast("int", _scalar(conn, "sweep_leases", {"limit": limit})))

    def claim_side_effects(self, worker: str, limit: int, lease: float) -> list[SideEffect]:
        """Lease due outbox rows."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(SideEffect)) as cursor:
            return cursor.execute(_SQL["claim_outbox"], {"worker": worker, "limit": limit, "lease": lease}).fetchall()

    def side_effect_delivered(self, effect: SideEffect) -> None:
        """Settle it, with its event."""
        with transaction(self._pool) as conn:
            settled = conn.execute(
                _SQL["outbox_delivered"], {"outbox_id": effect.outbox_id, "attempts": effect.attempts}
            )
            if settled.rowcount == 1:
                _tell(conn, effect, "callback_success", "success", None)

    def side_effect_failed(self, effect: SideEffect, error: str, delay: float) -> None:
        """Put it back, with its event."""
        parameters = {
            "outbox_id": effect.outbox_id,
            "attempts": effect.attempts,
            "error": error,
            "delay": delay,
        }
        with transaction(self._pool) as conn:
            if conn.execute(_SQL["outbox_failed"], parameters).rowcount == 1:
                _tell(conn, effect, "callback_failed", "failure", error)


def submit_in(conn: Connection, job: NewJob, *, rerun: bool = False) -> Accepted:
    """Accept a job inside the caller's transaction; with `rerun`, again although it completed."""
    parameters = {
        "job_id": job.job_id,
        "job_type": job.job_type,
        "parameters": job.parameters,
        "total_stages": job.total_stages,
        "submitted_by": job.submitted_by,
        "correlation_id": job.correlation_id,
        "rerun": rerun,
        **_stage(job.first_stage),
    }
    with conn.cursor(row_factory=class_row(Accepted)) as cursor:
        accepted = cursor.execute(_SQL["submit_job"], parameters).fetchone()
    assert accepted is not None  # the function returns a row in every case
    return accepted


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
        "keys": list(stage.keys),
        "stage_parameters": list(stage.parameters),
    }


def _scalar(conn: Connection, name: str, parameters: Mapping[str, object]) -> object:
    row = conn.execute(_SQL[name], parameters).fetchone()
    return row[0] if row else None


def _tell(conn: Connection, effect: SideEffect, kind: str, status: str, error: str | None) -> None:
    parameters = {
        "type": kind,
        "status": status,
        "topic": effect.topic,
        "error": error and error[:1000],
        "job_id": effect.payload.get("job_id"),
    }
    conn.execute(_SQL["outbox_event"], parameters)
