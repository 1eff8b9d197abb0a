"""What will a job do, and how long will it take? Told from its declaration and from jobs that ran before."""

from __future__ import annotations

from collections.abc import Mapping

from core.contracts.jobs import Parallelism
from core.contracts.plans import Estimate, PlannedStage, Timing
from core.machine.registry import AnyJob
from core.machine.store import NewStage
from core.models.platform import DataType

#: Seconds, and seconds for each MiB, of a first job: what docs/explanation/performance.md measured, rounded up.
_GUESS: Mapping[DataType, tuple[float, float]] = {DataType.RASTER: (3.0, 0.05), DataType.VECTOR: (2.0, 0.03)}
_ENOUGH = 5  #: runs that make a line


def stages(job: AnyJob, first: NewStage) -> tuple[PlannedStage, ...]:
    """Every stage; of those that fan out from another's results nobody knows the number of tasks yet."""
    return tuple(
        PlannedStage(
            stage=number,
            name=stage.name,
            task_type=stage.task.name,
            queue=stage.task.queue.value,
            parallelism=stage.parallelism,
            tasks=len(first.keys) if number == 1 else None if stage.parallelism is Parallelism.FAN_OUT else 1,
        )
        for number, stage in enumerate(job.stages, start=1)
    )


def estimate(data_type: DataType, timing: Timing, mib: float) -> Estimate:
    """Seconds for a source of that size."""
    if timing.runs >= _ENOUGH and timing.base is not None and timing.per_mib is not None and timing.per_mib > 0:
        seconds = max(timing.base, 0.0) + timing.per_mib * mib
    elif timing.median is not None:
        seconds = timing.median
    else:
        base, per_mib = _GUESS[data_type]
        seconds = base + per_mib * mib
    return Estimate(seconds=round(seconds, 1), runs=timing.runs)
