"""What a running handler may use, and whoever looks at a source before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel, JsonValue

from core.contracts.catalog import Catalog
from core.contracts.consistency import Consistency
from core.contracts.curated import CuratedSources
from core.contracts.effects import Effect
from core.contracts.storage import ObjectStorage
from core.contracts.tables import FeatureTables

Model = TypeVar("Model", bound=BaseModel)
ArtifactCheck = Callable[[Mapping[str, JsonValue]], bool]


class Checkpoint(Protocol):
    """The phases an attempt has finished, kept across interruptions and crashes."""

    def should_skip(self, phase: int) -> bool:
        """True when an earlier attempt finished this phase."""
        ...

    @property
    def data(self) -> Mapping[str, JsonValue]:
        """What the finished phases left, merged."""
        ...

    def save(
        self,
        phase: int,
        data: Mapping[str, JsonValue],
        validate_artifact: ArtifactCheck | None = None,
    ) -> None:
        """Record a finished phase. Raises ContractViolation when `validate_artifact` says no."""
        ...

    def save_and_stop_if_requested(self, phase: int, data: Mapping[str, JsonValue]) -> None:
        """Record a finished phase, then raise Interrupted when a stop was asked for."""
        ...


class TaskContext(Protocol):
    """One attempt at one task, as its handler sees it."""

    @property
    def job_id(self) -> str:
        """The job this task belongs to: 64 hex digits."""
        ...

    @property
    def job_type(self) -> str:
        """The type of that job."""
        ...

    @property
    def task_id(self) -> str:
        """`{job_id}-s{stage}-{index}`."""
        ...

    @property
    def attempt(self) -> int:
        """Which delivery of the task this is, from 1; goes into every name of an unfinished output."""
        ...

    @property
    def workdir(self) -> Path:
        """A directory of this attempt's own, removed when it ends."""
        ...

    @property
    def storage(self) -> ObjectStorage:
        """Blobs."""
        ...

    @property
    def tables(self) -> FeatureTables:
        """PostGIS tables."""
        ...

    @property
    def max_raster_pixels(self) -> int:
        """Width times height above which this system refuses a raster (`RASTER_MAX_PIXELS`)."""
        ...

    @property
    def catalog(self) -> Catalog:
        """The STAC catalogue, to look at."""
        ...

    @property
    def consistency(self) -> Consistency:
        """The catalogue, to compare with itself."""
        ...

    @property
    def curated(self) -> CuratedSources:
        """Curated datasets, and what is at their sources."""
        ...

    @property
    def checkpoint(self) -> Checkpoint:
        """Phases that earlier attempts finished."""
        ...

    def should_stop(self) -> bool:
        """True once the worker is shutting down, the lease is lost or the job was cancelled."""
        ...

    def report_progress(self, percent: float, message: str) -> None:
        """Tell how far the task is, 0 to 100. Cheap: written at most once a second."""
        ...

    def commit_with(self, effect: Effect) -> None:
        """Have `effect` written in the transaction that completes this task."""
        ...


@dataclass(frozen=True)
class Sight:
    """What whoever looks at a source for a dry run may use; `workdir` is his own and removed when he is done."""

    storage: ObjectStorage
    catalog: Catalog
    max_raster_pixels: int
    workdir: Path
