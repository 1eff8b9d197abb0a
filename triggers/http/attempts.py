"""Which attempts does a task have behind it? Told from its events and its row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from core.errors import LeaseExpired
from core.models.events import JobEventType
from infrastructure.postgres.job_views import TaskState, TaskView
from infrastructure.postgres.timeline import AttemptEvent


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    RUNNING = "running"  #: not yet
    COMPLETED = "completed"  #: output stored
    FAILED = "failed"  #: raised an error
    LEASE_EXPIRED = "lease_expired"  #: its worker went silent
    INTERRUPTED = "interrupted"  #: stopped at a checkpoint, not a failure
    CANCELLED = "cancelled"  #: its job ended first
    UNKNOWN = "unknown"  #: its end was not recorded


_OUTCOMES = {
    JobEventType.TASK_RETRYING: AttemptOutcome.FAILED,
    JobEventType.TASK_FAILED: AttemptOutcome.FAILED,
    JobEventType.LEASE_EXPIRED: AttemptOutcome.LEASE_EXPIRED,
    JobEventType.TASK_INTERRUPTED: AttemptOutcome.INTERRUPTED,
    JobEventType.TASK_CANCELLED: AttemptOutcome.CANCELLED,
}


class CheckpointMark(BaseModel):
    """A phase that an attempt finished."""

    name: str
    at: datetime


class Attempt(BaseModel):
    """One delivery of a task. A light task's failed attempt does not tell when it began."""

    attempt: int
    outcome: AttemptOutcome = AttemptOutcome.UNKNOWN
    worker: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None
    checkpoints: list[CheckpointMark] = []


def attempts(task: TaskView, events: Sequence[AttemptEvent]) -> list[Attempt]:
    """The attempts of a task in order, the running one last."""
    found: dict[int, Attempt] = {}
    for event in events:
        if event.attempt is not None:
            _tell(found.setdefault(event.attempt, Attempt(attempt=event.attempt)), event)
    if task.state is TaskState.COMPLETED:
        last = found.setdefault(task.attempt, Attempt(attempt=task.attempt))
        last.outcome, last.worker = AttemptOutcome.COMPLETED, task.worker
        last.started_at, last.ended_at = last.started_at or task.started_at, task.finished_at
    elif task.leased_by and task.held_attempt:
        running = found.setdefault(task.held_attempt, Attempt(attempt=task.held_attempt))
        running.outcome, running.worker = AttemptOutcome.RUNNING, task.leased_by
    return [found[number] for number in sorted(found)]


def _tell(attempt: Attempt, event: AttemptEvent) -> None:
    attempt.worker = attempt.worker or event.worker
    match event.event_type:
        case JobEventType.TASK_STARTED:
            attempt.started_at = event.created_at
        case JobEventType.CHECKPOINT:
            attempt.checkpoints.append(CheckpointMark(name=event.checkpoint_name or "", at=event.created_at))
        case kind if kind in _OUTCOMES:
            silent = event.error_code == LeaseExpired.code
            attempt.outcome = AttemptOutcome.LEASE_EXPIRED if silent else _OUTCOMES[JobEventType(kind)]
            attempt.ended_at = event.created_at
            attempt.error_code, attempt.error_message = event.error_code, event.error_message
