"""A phase's view of its task: everything passes through, but its 0 to 100 % are a span of the task's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.contracts.catalog import Catalog
from core.contracts.consistency import Consistency
from core.contracts.context import Checkpoint, TaskContext
from core.contracts.curated import CuratedSources
from core.contracts.effects import Effect
from core.contracts.storage import ObjectStorage
from core.contracts.tables import FeatureTables


@dataclass(frozen=True)
class PartOf:
    """The TaskContext of a phase that takes the task from `start` to `end` percent."""

    whole: TaskContext
    start: float
    end: float
    workdir: Path

    @property
    def job_id(self) -> str:
        """The whole task's."""
        return self.whole.job_id

    @property
    def job_type(self) -> str:
        """The whole task's."""
        return self.whole.job_type

    @property
    def task_id(self) -> str:
        """The whole task's."""
        return self.whole.task_id

    @property
    def attempt(self) -> int:
        """The whole task's."""
        return self.whole.attempt

    @property
    def storage(self) -> ObjectStorage:
        """Blobs."""
        return self.whole.storage

    @property
    def tables(self) -> FeatureTables:
        """PostGIS tables."""
        return self.whole.tables

    @property
    def max_raster_pixels(self) -> int:
        """The system's limit."""
        return self.whole.max_raster_pixels

    @property
    def catalog(self) -> Catalog:
        """The STAC catalogue."""
        return self.whole.catalog

    @property
    def consistency(self) -> Consistency:
        """The catalogue, to compare with itself."""
        return self.whole.consistency

    @property
    def curated(self) -> CuratedSources:
        """Curated datasets, and what is at their sources."""
        return self.whole.curated

    @property
    def checkpoint(self) -> Checkpoint:
        """The whole task's."""
        return self.whole.checkpoint

    def should_stop(self) -> bool:
        """True once the task should."""
        return self.whole.should_stop()

    def report_progress(self, percent: float, message: str) -> None:
        """The phase's percent, as the task's."""
        self.whole.report_progress(self.start + (self.end - self.start) * percent / 100.0, message)

    def commit_with(self, effect: Effect) -> None:
        """Written when the whole task completes."""
        self.whole.commit_with(effect)


@contextmanager
def part(whole: TaskContext, start: float, end: float) -> Iterator[PartOf]:
    """A phase with a directory of its own inside the task's, removed when the phase ends."""
    with TemporaryDirectory(dir=whole.workdir) as workdir:
        yield PartOf(whole, start, end, Path(workdir))
