"""How a job stands: how far it is, what it waits for, when it may be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class OpenState(StrEnum):
    """What a piece of open work is doing, the most telling first."""

    RUNNING = "running"  #: leased
    EXPIRED = "expired"  #: leased by a worker that went silent; the sweep returns it
    DUE = "due"  #: claimable
    LATER = "later"  #: waits for its time


@dataclass(frozen=True)
class OpenItem:
    """One item of the queue. `ahead` counts claimable items before it, up to a limit the reader sets."""

    state: OpenState
    queue: str
    stage: int
    task_index: int
    failures: int
    worker: str | None
    visible_at: datetime
    started_at: datetime | None
    error_code: str | None
    ahead: int = 0


@dataclass(frozen=True)
class StageProgress:
    """A stage in numbers. `running` sums the progress, 0 to 1 each, of tasks that report it."""

    expected: int
    remaining: int
    running: float
    started_at: datetime
    finished_at: datetime | None


class WaitingReason(StrEnum):
    """Why a job or task is not done yet."""

    QUEUED = "queued"  #: claimable, behind other work
    RUNNING = "running"  #: a worker has it
    RETRY = "retry"  #: an attempt failed, the next one waits for its time
    SCHEDULED = "scheduled"  #: waits for its time without having failed
    LEASE_EXPIRED = "lease_expired"  #: its worker went silent; the sweep returns it to the queue
    ADVANCE = "advance"  #: the stage is done, the next one is being planned
    NOTHING = "nothing"  #: no open work: the janitor repairs it


class WaitingFor(BaseModel):
    """What is between now and the end, in words and in fields."""

    model_config = ConfigDict(frozen=True)

    reason: WaitingReason
    message: str
    queue: str | None = None
    stage: int | None = None
    task_index: int | None = None
    items_ahead: int | None = None
    worker: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    error_code: str | None = None


class Situation(BaseModel):
    """How a job stands. `progress` is 0 to 100 over all stages; `eta` is null when nothing has finished yet."""

    model_config = ConfigDict(frozen=True)

    waiting_for: WaitingFor | None
    progress: float
    eta: datetime | None
    queue_position: int | None
