"""Jobs that only look: whether a raster could be published, and what is in a container."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from core.contracts.jobs import JobResult
from core.contracts.raster import (
    Bounds,
    Finding,
    RasterInspection,
    RasterSource,
    RasterType,
    RasterValidation,
    ValidateRasterInput,
)
from core.contracts.storage import ContainerName
from core.contracts.tasks import Contract, Queue, TaskType, Weight

#: Files in one page of an inventory.
PAGE = 1000


class ValidateRasterParameters(RasterSource):
    """Parameters of `validate_raster_job`, as process_raster_v2 has them."""

    input_crs: str | None = None
    target_crs: str | None = None
    variable: str | None = None
    raster_type: RasterType = RasterType.AUTO
    strict_mode: bool = False

    def to_validate(self) -> ValidateRasterInput:
        """What the task needs."""
        return ValidateRasterInput.model_validate(self.model_dump())


class Refusal(Contract):
    """Why a raster would be refused."""

    code: str
    message: str
    hint: str | None = None


class RasterReport(Contract):
    """What validation found: one of the two."""

    inspection: RasterInspection | None = None
    refusal: Refusal | None = None


class ValidateRasterResult(JobResult):
    """Result of `validate_raster_job`. `valid` is whether process_raster_v2 would go on from here."""

    source_blob: str
    source_container: str
    valid: bool
    refusal: Refusal | None
    validation: RasterValidation | None
    bbox: Bounds | None
    is_cog: bool | None
    findings: tuple[Finding, ...] = ()


class FileKind(StrEnum):
    """What a file is, by its name."""

    RASTER = "raster"  #: a format of the raster pipeline
    VECTOR = "vector"  #: a format of the vector pipeline
    ARCHIVE = "archive"  #: zipped, may hold either
    SIDECAR = "sidecar"  #: belongs to another file
    METADATA = "metadata"  #: JSON, XML or text about data
    OTHER = "other"  #: nothing a pipeline reads


class InventoryParameters(Contract):
    """Parameters of `inventory_container_contents`. `start_after` is the `next_start` of the page before."""

    container_name: ContainerName
    prefix: str = Field("", max_length=900)
    suffix: str = Field("", max_length=100)
    limit: int = Field(500, ge=1, le=50_000)
    start_after: str = Field("", max_length=900)
    include_unrecognized: bool = True


class InventoryPage(Contract):
    """Which files to look at: those after `after` up to and including `until`."""

    container_name: str
    prefix: str
    suffix: str
    after: str
    until: str


class InventoryPages(Contract):
    """All pages of the inventory, and where the next inventory begins."""

    pages: tuple[InventoryPage, ...]
    next_start: str | None = None


class InventoriedFile(Contract):
    """One file. `cataloged` is the item (`collection/item`) whose COG it is; `belongs_to` the file of a sidecar."""

    path: str
    size: int
    last_modified: AwareDatetime
    kind: FileKind
    extension: str
    job_type: str | None = None  #: what would process it
    belongs_to: str | None = None
    cataloged: str | None = None


class InventoriedPage(Contract):
    """The files of a page."""

    files: tuple[InventoriedFile, ...]


class Tally(Contract):
    """Files of one sort together."""

    count: int
    size_mb: float


class InventoryResult(JobResult):
    """Result of `inventory_container_contents`."""

    container: str
    prefix: str
    total: Tally
    by_kind: dict[str, Tally]
    by_extension: dict[str, Tally]
    cataloged: int
    files: tuple[InventoriedFile, ...]
    next_start: str | None  #: None when the container was listed to its end
    stages_completed: int


RASTER_REPORT = TaskType(
    "raster_validate_report", ValidateRasterInput, RasterReport, queue=Queue.RASTER, weight=Weight.HEAVY
)
INVENTORY_LIST = TaskType(
    "inventory_list_blobs", InventoryParameters, InventoryPages, queue=Queue.VECTOR, weight=Weight.HEAVY
)
INVENTORY_ANALYZE = TaskType(
    "inventory_analyze_blobs", InventoryPage, InventoriedPage, queue=Queue.VECTOR, weight=Weight.HEAVY
)
