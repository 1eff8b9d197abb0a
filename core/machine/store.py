"""What CoreMachine needs of a database: each method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from core.contracts.effects import Effect
from core.errors import ErrorKind
from core.machine.identity import ADVANCE, TaskId
from core.states import FailurePolicy, StageStatus


@dataclass(frozen=True)
class NewStage:
    """A stage to create: parallel lists of task keys and their parameters as JSON."""

    number: int
    name: str
    task_type: str
    queue: str
    heavy: bool
    max_failures: int
    on_failure: FailurePolicy
    keys: Sequence[str]
    parameters: Sequence[str]


@dataclass(frozen=True)
class NewJob:
    """A job to accept. `callbacks` are the outbox topics that its end is told to.

    A `repeatable` one gets a new run although it completed.
    """

    job_id: str
    job_type: str
    parameters: str
    total_stages: int
    first_stage: NewStage
    submitted_by: str | None
    correlation_id: str | None
    callbacks: Sequence[str] = ()
    repeatable: bool = False


@dataclass(frozen=True)
class Accepted:
    """What became of a submission: a new run, or the job that already does this work."""

    job_key: int
    created: bool
    run: int


@dataclass(frozen=True)
class Claimed:
    """A leased item. `attempt` fences every later write: only its holder's writes change a row."""

    queue_id: int
    job_key: int
    job_id: str
    job_type: str
    stage: int
    task_index: int
    attempt: int
    failures: int
    max_failures: int
    heavy: bool
    task_type: str | None = None
    parameters: JsonValue = None
    checkpoint_phase: int = 0
    checkpoint_data: Mapping[str, JsonValue] | None = None
    correlation_id: str | None = None

    @property
    def log_ids(self) -> dict[str, object]:
        """What finds this attempt in a log."""
        ids = {
            "job_id": self.job_id,
            "job_type": self.job_type,
            "stage": self.stage,
            "correlation_id": self.correlation_id,
        }
        return ids if self.is_advance else {**ids, "task_id": str(self.task_id), "attempt": self.attempt}

    @property
    def task_id(self) -> TaskId:
        """The public name of the item."""
        return TaskId(self.job_id, self.stage, self.task_index)

    @property
    def is_advance(self) -> bool:
        """True for a stage's advance item, which has no handler."""
        return self.task_index == ADVANCE


@dataclass(frozen=True)
class Finished:
    """A light task's output, waiting to be committed with others. `duration` in milliseconds."""

    claimed: Claimed
    output: str
    duration: int


@dataclass(frozen=True)
class StoredResult:
    """How one task ended: its output, or for a failed one the error."""

    stage_name: str
    task_key: str
    output: JsonValue
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True)
class JobToAdvance:
    """The job behind an advance item, with what its stages left so far."""

    claimed: Claimed
    job_type: str
    parameters: JsonValue
    stage_status: StageStatus
    results: Sequence[StoredResult]


@dataclass(frozen=True)
class SideEffect:
    """A due row of the outbox."""

    outbox_id: int
    topic: str
    payload: Mapping[str, JsonValue]
    attempts: int
    max_attempts: int


@dataclass(frozen=True)
class ApprovalRequest:
    """The STAC items, as (collection, item), that a finished job wants published by one decision."""

    items: Sequence[tuple[str, str]]
    classification: str


@dataclass(frozen=True)
class JobOutcome:
    """The end of a job: its result as JSON, and the review it asks for."""

    result: str
    approval: ApprovalRequest | None


@dataclass(frozen=True)
class NextStep:
    """What an advance item turns into."""

    claimed: Claimed
    following: NewStage | JobOutcome


FailureDecision = Literal["retrying", "failed", "stale"]


class JobStore(Protocol):
    """The durable state. Every method raises DatabaseUnavailable when the database does not answer."""

    def submit(self, job: NewJob) -> Accepted:
        """Accept a job, its first stage, tasks and queue rows at once."""
        ...

    def submit_all(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        """Accept several jobs, all or none."""
        ...

    def step(
        self, worker: str, queues: Sequence[str], limit: int, lease: float, done: Sequence[Finished]
    ) -> list[Claimed]:
        """Complete what is done, then lease up to `limit` items for `lease` seconds."""
        ...

    def complete(
        self, worker: str, lease: float, finished: Finished, effects: Sequence[Effect]
    ) -> list[Claimed] | None:
        """Write a task's effects and complete it; the advance item it leaves, leased to us.

        None, and nothing written, when another attempt holds the task.
        """
        ...

    def fail(
        self, worker: str, claimed: Claimed, *, kind: ErrorKind, code: str, message: str, hint: str | None, delay: float
    ) -> FailureDecision:
        """Record a failed attempt; whether, where and after how long it runs again is decided with it."""
        ...

    def release(self, worker: str, claimed: Claimed) -> bool:
        """Give an unfinished item back, not counting the attempt."""
        ...

    def release_unknown(self, worker: str, known: Sequence[Claimed]) -> int:
        """Give back what the worker leases without knowing it, after an answer was lost on the way; how many."""
        ...

    def worker_died(
        self, worker: str, running: tuple[int, int] | None, *, code: str, message: str, hint: str | None
    ) -> int:
        """Charge the item that ran, by queue id and attempt, with its worker's death; give back the others, uncounted.

        Returns how many were given back.
        """
        ...

    def renew(self, worker: str, held: Sequence[Claimed], lease: float) -> set[int]:
        """Extend leases; the queue ids that are still ours."""
        ...

    def report_progress(self, worker: str, claimed: Claimed, percent: float, message: str) -> None:
        """Show progress; silently nothing when the lease is lost."""
        ...

    def save_checkpoint(self, worker: str, claimed: Claimed, phase: int, data: Mapping[str, JsonValue]) -> bool:
        """Keep a finished phase; False when the lease is lost."""
        ...

    def to_advance(self, items: Sequence[Claimed]) -> list[JobToAdvance]:
        """The jobs behind advance items, in the order of the items; deleted ones are left out."""
        ...

    def advance(
        self, worker: str, steps: Sequence[NextStep], queues: Sequence[str], limit: int, lease: float
    ) -> list[Claimed]:
        """Replace advance items by next stages and finished jobs, then lease up to `limit` items.

        Raises StaleAttempt, and writes nothing, when one of them is no longer held.
        """
        ...

    def fail_stage(self, worker: str, claimed: Claimed) -> bool:
        """Fail the job whose stage ended with more failures than it allows; False when another worker did."""
        ...

    def sweep_leases(self, worker: str, limit: int) -> int:
        """Put expired leases through the failure path; how many."""
        ...

    def mend(self, worker: str, limit: int) -> int:
        """Give stranded jobs their open work back, remove the work of ended ones; how many."""
        ...

    def archive(self, days: float, limit: int) -> int:
        """Remove tasks and events of jobs that ended so long ago; how many jobs."""
        ...

    def drop_archived(self, days: float, limit: int) -> int:
        """Remove archived jobs that ended so long ago and that no review refers to; how many."""
        ...

    def claim_side_effects(self, worker: str, limit: int, lease: float) -> list[SideEffect]:
        """Lease due outbox rows."""
        ...

    def side_effect_delivered(self, effect: SideEffect) -> None:
        """Settle it, with an event in the job's history."""
        ...

    def side_effect_failed(self, effect: SideEffect, error: str, delay: float) -> None:
        """Put it back for later, or among the dead, with an event in the job's history."""
        ...
