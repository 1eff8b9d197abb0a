"""What would happen if a request were submitted? The answer to a dry run, and how it is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from pydantic import JsonValue

from core.contracts.jobs import Parallelism
from core.contracts.tasks import Contract
from core.models.platform import DataType


class Obstacle(StrEnum):
    """What a new output would meet."""

    REQUEST = "request"  #: the same dataset, resource and version were submitted before
    TABLE = "table"  #: a feature table of that name is catalogued
    STAC_ITEM = "stac_item"  #: the catalogue has an item of that id


class Collision(Contract):
    """Something that is there already. `blocks` is False for what a submission replaces as it is now."""

    kind: Obstacle
    name: str
    message: str
    blocks: bool


class PlannedSource(Contract):
    """A file as it is now; a submission with this plan's id is refused once it has changed."""

    container_name: str
    blob_name: str
    size_bytes: int
    etag: str
    last_modified: datetime | None


class PlannedStage(Contract):
    """A stage and how many tasks it will have; None where that is known only when the stage before has ended."""

    stage: int
    name: str
    task_type: str
    queue: str
    parallelism: Parallelism
    tasks: int | None


class Estimate(Contract):
    """How long the job will take. `runs` of the same type were measured; 0 is a guess from the size alone."""

    seconds: float
    runs: int


class PlanFinding(Contract):
    """Something about the source that its owner should know before he submits it."""

    code: str
    severity: str
    message: str
    fix: str | None = None


class Look(Contract):
    """What the headers of a source say; which of the facts are there depends on what kind of data it is."""

    facts: dict[str, JsonValue]
    findings: tuple[PlanFinding, ...] = ()


class PlanOutline(Contract):
    """A job that would run."""

    data_type: DataType
    job_type: str
    reason: str
    stages: tuple[PlannedStage, ...]
    outputs: dict[str, JsonValue]
    estimate: Estimate


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it is kept: the request, the job it makes and the state of its sources."""

    plan_id: str
    request: dict[str, JsonValue]
    job_id: str
    sources: tuple[PlannedSource, ...]
    submitted_by: str
    expires_at: datetime


@dataclass(frozen=True)
class Timing:
    """How long finished jobs of a type took: a line through seconds over MiB, and the median."""

    runs: int
    median: float | None
    base: float | None
    per_mib: float | None


class PlanStore(Protocol):
    """Where plans are kept, and how long such jobs took."""

    def save(
        self,
        request: dict[str, JsonValue],
        job_id: str,
        sources: Sequence[PlannedSource],
        *,
        by: str,
        keep: timedelta,
    ) -> StoredPlan:
        """Keep a plan for some time; expired ones are dropped."""
        ...

    def plan(self, plan_id: str) -> StoredPlan | None:
        """The plan of that id, unless it has expired."""
        ...

    def timing(self, job_type: str) -> Timing:
        """How long the last jobs of a type took."""
        ...
