"""One attempt at one task: what its handler sees, and how its end becomes an outcome."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, JsonValue

from core.contracts.catalog import Catalog
from core.contracts.consistency import Consistency
from core.contracts.context import ArtifactCheck
from core.contracts.curated import CuratedSources
from core.contracts.effects import Effect
from core.contracts.outcomes import Done, Failed, Outcome, Suspended
from core.contracts.storage import ObjectStorage
from core.contracts.tables import FeatureTables
from core.errors import ContractViolation, ErrorKind, GeomachineError, Interrupted, OutOfMemory, StaleAttempt
from core.machine.registry import Registry
from core.machine.store import Claimed, JobStore

_PROGRESS_INTERVAL = 1.0


@dataclass(frozen=True)
class Resources:
    """What handlers work with. `scratch` holds one directory per attempt that asks for one."""

    storage: ObjectStorage
    tables: FeatureTables
    catalog: Catalog
    consistency: Consistency
    curated: CuratedSources
    scratch: Path
    max_raster_pixels: int


@dataclass
class Attempt:
    """The TaskContext of one attempt. What a light task never asks for is never made."""

    claimed: Claimed
    worker: str
    store: JobStore
    resources: Callable[[], Resources]
    stop: threading.Event
    effects: list[Effect] = field(default_factory=list)
    _reported_at: float = 0.0
    _workdir: Path | None = None

    @property
    def storage(self) -> ObjectStorage:
        """Blobs."""
        return self.resources().storage

    @property
    def tables(self) -> FeatureTables:
        """PostGIS tables."""
        return self.resources().tables

    @property
    def catalog(self) -> Catalog:
        """The STAC catalogue."""
        return self.resources().catalog

    @property
    def consistency(self) -> Consistency:
        """The catalogue, to compare with itself."""
        return self.resources().consistency

    @property
    def curated(self) -> CuratedSources:
        """Curated datasets, and what is at their sources."""
        return self.resources().curated

    @property
    def max_raster_pixels(self) -> int:
        """Width times height above which a raster is refused."""
        return self.resources().max_raster_pixels

    @property
    def workdir(self) -> Path:
        """A directory of this attempt's own."""
        if self._workdir is None:
            scratch = self.resources().scratch
            scratch.mkdir(parents=True, exist_ok=True)
            self._workdir = Path(tempfile.mkdtemp(prefix=f"{self.job_id[:8]}-", dir=scratch))
        return self._workdir

    def clean_up(self) -> None:
        """Remove the directory, whatever is in it."""
        if self._workdir is not None:
            shutil.rmtree(self._workdir, ignore_errors=True)

    @property
    def job_id(self) -> str:
        """The job this task belongs to."""
        return self.claimed.job_id

    @property
    def job_type(self) -> str:
        """The type of that job."""
        return self.claimed.job_type

    @property
    def task_id(self) -> str:
        """The public name of the task."""
        return str(self.claimed.task_id)

    @property
    def attempt(self) -> int:
        """Which delivery of the task this is."""
        return self.claimed.attempt

    @cached_property
    def checkpoint(self) -> StoredCheckpoint:
        """Phases that earlier attempts, and this one, finished."""
        return StoredCheckpoint(self)

    def should_stop(self) -> bool:
        """True once the attempt should end at its next checkpoint."""
        return self.stop.is_set()

    def report_progress(self, percent: float, message: str) -> None:
        """Write progress, at most once a second."""
        now = time.monotonic()
        if now - self._reported_at >= _PROGRESS_INTERVAL:
            self._reported_at = now
            self.store.report_progress(self.worker, self.claimed, min(max(percent, 0.0), 100.0), message[:500])

    def commit_with(self, effect: Effect) -> None:
        """Keep the effect for the completing transaction."""
        self.effects.append(effect)


class StoredCheckpoint:
    """Finished phases, in the task's row."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._phase = attempt.claimed.checkpoint_phase
        self._data: dict[str, JsonValue] = dict(attempt.claimed.checkpoint_data or {})

    @property
    def data(self) -> Mapping[str, JsonValue]:
        """What the finished phases left."""
        return self._data

    def should_skip(self, phase: int) -> bool:
        """True when the phase is behind us."""
        return phase <= self._phase

    def save(self, phase: int, data: Mapping[str, JsonValue], validate_artifact: ArtifactCheck | None = None) -> None:
        """Record a finished phase."""
        if validate_artifact is not None and not validate_artifact(data):
            raise ContractViolation(f"Phase {phase} of task {self._attempt.task_id} left no valid artifact.")
        if not self._attempt.store.save_checkpoint(self._attempt.worker, self._attempt.claimed, phase, data):
            raise StaleAttempt(f"Task {self._attempt.task_id} is no longer held by this attempt.")
        self._phase = phase
        self._data.update(data)

    def save_and_stop_if_requested(self, phase: int, data: Mapping[str, JsonValue]) -> None:
        """Record a finished phase, then stop when asked to."""
        self.save(phase, data)
        if self._attempt.should_stop():
            raise Interrupted(f"Task {self._attempt.task_id} stopped after phase {phase}.")


def run(registry: Registry, attempt: Attempt) -> Outcome:
    """Run the handler and say how it ended. This is the edge of a task: no exception leaves it."""
    claimed = attempt.claimed
    try:
        task = registry.task(claimed.task_type or "")
        handler = registry.handler(task.name)
        parameters: BaseModel = task.input.model_validate(claimed.parameters)
        output = handler(parameters, attempt)
        if not isinstance(output, task.output):
            raise ContractViolation(
                f"Handler of {task.name} returned {type(output).__name__}, not {task.output.__name__}."
            )
        return Done(output.model_dump_json(), tuple(attempt.effects))
    except Interrupted:
        return Suspended()
    except Exception as e:
        return failure(e)
    finally:
        attempt.clean_up()


def failure(error: Exception) -> Failed:
    """What an exception means: ours say so; of the others, a defect comes back the same and the rest may pass."""
    if isinstance(error, GeomachineError):
        return Failed(error.code, error.message, error.kind, error.hint)
    if isinstance(error, MemoryError):
        return Failed(OutOfMemory.code, OutOfMemory().message, OutOfMemory.kind)
    defect = isinstance(error, (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError))
    kind = ErrorKind.PERMANENT if defect else ErrorKind.TRANSIENT
    return Failed(GeomachineError.code, f"{type(error).__name__}: {error}", kind)
