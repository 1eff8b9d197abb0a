"""What CoreMachine needs of a database: each method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

from core.contracts.effects import Effect
from core.machine.identity import ADVANCE, TaskId


@dataclass(frozen=True)
class NewStage:
    """A stage to create: parallel lists of task keys and their parameters as JSON."""

    number: int
    name: str
    task_type: str
    queue: str
    heavy: bool
    max_failures: int
    keys: Sequence[str]
    parameters: Sequence[str]


@dataclass(frozen=True)
class NewJob:
    """A job to accept."""

    job_id: str
    job_type: str
    parameters: str
    total_stages: int
    first_stage: NewStage
    submitted_by: str | None
    correlation_id: str | None


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
class JobToAdvance:
    """The job behind an advance item."""

    job_id: str
    job_type: str
    parameters: JsonValue
    total_stages: int


@dataclass(frozen=True)
class StoredResult:
    """The output of one finished task."""

    stage_name: str
    task_key: str
    output: JsonValue


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
    """The STAC item a finished job wants reviewed."""

    collection_id: str
    item_id: str
    classification: str


FailureDecision = Literal["retrying", "failed", "stale"]


class JobStore(Protocol):
    """The durable state. Every method raises DatabaseUnavailable when the database does not answer."""

    def submit(self, job: NewJob) -> Accepted:
        """Accept a job, its first stage, tasks and queue rows at once."""
        ...

    def step(
        self, worker: str, queues: Sequence[str], limit: int, lease: float, done: Sequence[Finished]
    ) -> list[Claimed]:
        """Complete what is done, then lease up to `limit` items for `lease` seconds."""
        ...

    def claim_one(self, worker: str, task: TaskId, lease: float) -> Claimed | None:
        """Lease the named item; None when it is done, leased, not due or unknown."""
        ...

    def complete(
        self, worker: str, lease: float, finished: Finished, effects: Sequence[Effect]
    ) -> list[Claimed] | None:
        """Write a task's effects and complete it; the advance item it leaves, leased to us.

        None, and nothing written, when another attempt holds the task.
        """
        ...

    def fail(
        self, worker: str, claimed: Claimed, *, code: str, message: str, hint: str | None, retry: bool, delay: float
    ) -> FailureDecision:
        """Record a failed attempt."""
        ...

    def release(self, worker: str, claimed: Claimed) -> bool:
        """Give an unfinished item back, not counting the attempt."""
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

    def job_to_advance(self, job_key: int) -> JobToAdvance:
        """The job behind an advance item."""
        ...

    def stage_results(self, job_key: int, stage: int) -> list[StoredResult]:
        """All outputs of stages 1 to `stage`."""
        ...

    def advance(self, worker: str, claimed: Claimed, stage: NewStage) -> bool:
        """Replace the advance item by the next stage; False when another worker did."""
        ...

    def finish(
        self, worker: str, claimed: Claimed, result: str, approval: ApprovalRequest | None, callbacks: Sequence[str]
    ) -> bool:
        """Replace the advance item by the finished job; False when another worker did."""
        ...

    def sweep_leases(self, limit: int) -> int:
        """Return expired leases to the queue or fail their tasks; how many."""
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
