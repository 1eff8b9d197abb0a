"""A whole raster in one checkpointed task of the worker: what it answers and what the job's result adds."""

from __future__ import annotations

from core.contracts.raster import CogFile, Finding, ProcessRasterParameters, RasterInspection, RasterJobResult
from core.contracts.raster import RasterStacReference as Reference
from core.contracts.tasks import Contract, Queue, TaskType, Weight


class PhaseReport(Contract):
    """How the attempt that finished got there. Seconds are of the attempt that ran the phase."""

    mode: str
    total_seconds: float  #: of the last attempt alone
    validation_seconds: float
    cog_seconds: float
    stac_seconds: float
    resumed: bool
    resumed_from_phase: int | None = None  #: the last phase that an earlier attempt had finished
    phases_skipped: tuple[str, ...] = ()


class MemoryReport(Contract):
    """Resident memory of the worker process in MiB; None where the system does not tell."""

    initial_rss_mb: float | None = None
    final_rss_mb: float | None = None
    peak_memory_cog_mb: float | None = None  #: the most the process ever had, by the end of the COG phase


class ProcessedRaster(Contract):
    """What `raster_process_complete` answers."""

    inspection: RasterInspection
    cogs: tuple[CogFile, ...]
    findings: tuple[Finding, ...] = ()
    stac: Reference
    processing: PhaseReport
    resources: MemoryReport


class DockerRasterResult(RasterJobResult):
    """Result of `process_raster_docker`."""

    processing_mode: str
    processing: PhaseReport
    resources: MemoryReport


RASTER_PROCESS_COMPLETE = TaskType(
    "raster_process_complete", ProcessRasterParameters, ProcessedRaster, queue=Queue.LONG, weight=Weight.HEAVY
)
