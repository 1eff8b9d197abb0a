"""Jobs, stages and tasks as they are read, and which of them are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from core.contracts.situations import OpenItem, OpenState
from core.states import JobStatus


@dataclass(frozen=True)
class JobView:
    """One run of a job."""

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
    superseded_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", JobStatus(self.status))  # the driver gives text


@dataclass(frozen=True)
class JobRow:
    """One run of a job in a list, without what it was given and what it made."""

    job_key: int
    job_id: str
    run: int
    job_type: str
    status: str
    stage: int
    total_stages: int
    error_code: str | None
    error_message: str | None
    submitted_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    superseded_at: datetime | None


@dataclass(frozen=True)
class JobFilter:
    """Which jobs; what is None does not matter. `before` is the position of the last job seen."""

    status: JobStatus | None = None
    job_type: str | None = None
    submitted_by: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    q: str | None = None
    before: tuple[datetime, int] | None = None


class TaskState(StrEnum):
    """What a task is doing, as people see it: a pending task may be queued, held or waiting for its time."""

    QUEUED = "queued"  #: claimable for the first time
    PROCESSING = "processing"  #: held by a worker
    PENDING_RETRY = "pending_retry"  #: waits to be tried again
    COMPLETED = "completed"  #: done
    FAILED = "failed"  #: given up
    CANCELLED = "cancelled"  #: ended with its job


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks of a job; what is None does not matter. `after` is the stage and index of the last task seen."""

    state: TaskState | None = None
    stage: int | None = None
    worker: str | None = None
    error_code: str | None = None
    after: tuple[int, int] | None = None


@dataclass(frozen=True)
class StageView:
    """A stage and its tasks, counted by state. `progress` is that of its furthest running task, 0 to 100; `running`
    sums the progress of all of them, 0 to 1 each."""

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
    running: float
    progress: float | None
    progress_message: str | None
    next_retry_at: datetime | None


@dataclass(frozen=True)
class TaskView:
    """One task, created with its stage. `leased_by` names the worker that holds it now."""

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
    checkpoint_phase: int
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    queue: str | None
    leased_by: str | None
    held_attempt: int | None
    failures: int | None
    visible_at: datetime | None
    is_due: bool | None
    created_at: datetime

    @property
    def state(self) -> TaskState:
        """What it is doing."""
        if self.status in ("completed", "failed", "cancelled"):
            return TaskState(self.status)
        if self.leased_by:
            return TaskState.PROCESSING
        return TaskState.PENDING_RETRY if self.failures else TaskState.QUEUED

    @property
    def open_item(self) -> OpenItem | None:
        """Its place in the queue; None once it has ended."""
        if self.queue is None or self.visible_at is None:
            return None
        held = (OpenState.EXPIRED, OpenState.RUNNING) if self.leased_by else (OpenState.DUE, OpenState.LATER)
        return OpenItem(
            state=held[0] if self.is_due else held[1],
            queue=self.queue,
            stage=self.stage,
            task_index=self.task_index,
            failures=self.failures or 0,
            worker=self.leased_by,
            visible_at=self.visible_at,
            started_at=self.started_at,
            error_code=self.error_code,
        )
