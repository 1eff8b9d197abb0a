"""Comparing the catalogue with itself: the rules, what a comparison answers, and the port that carries it out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import AwareDatetime, Field, field_validator

from core.contracts.jobs import JobResult
from core.contracts.repairs import DriftToRepair
from core.contracts.storage import ContainerName
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.models.cogs import CogMetadata
from core.models.consistency import ComparisonScope, DriftKind, DriftSeverity

_FULL = frozenset({ComparisonScope.FULL})
_ORPHANS = _FULL | {ComparisonScope.GEO_ORPHANS}
_INTEGRITY = _FULL | {ComparisonScope.GEO_INTEGRITY}


@dataclass(frozen=True)
class Rule:
    """How bad a kind of drift is, when it is looked for, and what mends it."""

    severity: DriftSeverity
    repair: str
    scopes: frozenset[ComparisonScope] = _FULL


_ERROR, _WARNING, _INFO = DriftSeverity.ERROR, DriftSeverity.WARNING, DriftSeverity.INFO
RULES: Mapping[DriftKind, Rule] = {
    DriftKind.STAC_ITEM_WITHOUT_RECORD: Rule(
        _ERROR, "Describe what it shows again: stac_catalog_vectors or stac_catalog_container; else remove the item."
    ),
    DriftKind.RECORD_WITHOUT_STAC_ITEM: Rule(_ERROR, "Make the item from the record."),
    DriftKind.BROKEN_BACKLINK: Rule(_ERROR, "Have the record name the item that shows it."),
    DriftKind.CHANGED_ITEM: Rule(_ERROR, "Make the item from the record again."),
    DriftKind.MISSING_BLOB: Rule(_ERROR, "Submit the source again, restore the file, or unpublish the raster."),
    DriftKind.CHANGED_BLOB: Rule(_ERROR, "Compare its checksum; if the content is another, submit the source again."),
    DriftKind.ORPHAN_BLOB: Rule(_INFO, "Catalogue it with register_silver_blobs, or delete it."),
    DriftKind.TABLE_WITHOUT_CATALOG_ROW: Rule(_WARNING, "Describe it with stac_catalog_vectors, or drop it.", _ORPHANS),
    DriftKind.CATALOG_ROW_WITHOUT_TABLE: Rule(
        _ERROR, "Submit the source again, restore the table, or remove the row with unpublish_vector.", _ORPHANS
    ),
    DriftKind.WRONG_EXTENT: Rule(_WARNING, "Write the measured extent into row and item.", _INTEGRITY),
    DriftKind.WRONG_COUNT: Rule(_WARNING, "Write the measured count into row and item.", _INTEGRITY),
    DriftKind.WRONG_SRID: Rule(_ERROR, "Write the table's CRS into row and item.", _INTEGRITY),
    DriftKind.UNTYPED_GEOMETRY: Rule(_WARNING, "Give the column the type of its geometries.", _INTEGRITY),
    DriftKind.MISSING_SPATIAL_INDEX: Rule(_WARNING, "Create the index.", _INTEGRITY),
    DriftKind.PUBLISHED_MISMATCH: Rule(_ERROR, "Show or hide it as its review says."),
    DriftKind.STALE_COLLECTION_EXTENT: Rule(_WARNING, "Widen the collection to its items."),
    DriftKind.STALE_MOSAIC: Rule(_WARNING, "Write the mosaic again."),
    DriftKind.DANGLING_REF: Rule(_WARNING, "Have the reference name the record's item."),
    DriftKind.STALE_REVISION: Rule(_ERROR, "Submit the source again, or unpublish what is left of it."),
    DriftKind.MISSING_REF: Rule(_WARNING, "Write the reference from the record."),
    DriftKind.MISSING_RUN: Rule(_WARNING, "Restore the row of app.vector_etl_tracking, or submit the source again."),
}


class ReconcileParameters(Contract):
    """Parameters of `reconcile`. `occurrence` tells the firings of a timer apart, so that each is done once."""

    scope: ComparisonScope = ComparisonScope.FULL
    occurrence: AwareDatetime | None = None


class Measured(Contract):
    """How many tables were read, and how many of the next ones are left for another comparison."""

    measured: int
    left: int


class Compared(Contract):
    """What a comparison saw, and what of it is new or gone."""

    run_id: int
    items: int
    blobs: int
    tables: int
    seen: int
    opened: int
    closed: int
    counts: dict[str, int]


class OrphanBlobsParameters(Contract):
    """Parameters of `detect_orphan_blobs`."""

    container_name: ContainerName
    prefix: str = Field("", max_length=900)
    suffix: str = Field("", max_length=20)
    limit: int = Field(1000, ge=1, le=10_000)

    @field_validator("container_name")
    @classmethod
    def _of_outputs(cls, value: str) -> str:
        if not value.startswith("silver"):
            raise ValueError(f"container_name {value!r} is no container of the silver zone.")
        return value


class OrphanBlob(Contract):
    """An output that nothing speaks of. `size` in bytes."""

    path: str
    size: int
    modified: AwareDatetime


class OrphanBlobs(Contract):
    """Some of them, in the order of their paths, and how many there are."""

    blobs: tuple[OrphanBlob, ...]
    total: int
    listed: int


class OrphanPage(Contract):
    """Some to look at."""

    container_name: str
    blobs: tuple[OrphanBlob, ...]


class LookedAt(Contract):
    """What can be done with an orphan: `job_type` could catalogue it; `gone` when it is there no longer."""

    path: str
    size: int
    modified: AwareDatetime
    gone: bool
    job_type: str | None


class LookedAtPage(Contract):
    """Those of a page."""

    blobs: tuple[LookedAt, ...]


class OrphanBlobsResult(JobResult):
    """The orphans of a container."""

    container_name: str
    listed: int
    total: int
    bytes: int
    blobs: tuple[LookedAt, ...]


class ReconcileResult(JobResult):
    """The comparison, and the tables that were read for it."""

    scope: ComparisonScope
    measured: Measured
    compared: Compared


@dataclass(frozen=True)
class TableToMeasure:
    """A feature table whose contents are not known, as it is now."""

    schema: str
    name: str
    geometry: str
    filenode: int
    changes: int


@dataclass(frozen=True)
class Measurement:
    """What one statement read in a table. `bbox` is in the CRS of its only SRID; None without rows."""

    table: TableToMeasure
    catalog_updated_at: datetime
    row_count: int
    srids: tuple[int, ...]
    geometry_types: tuple[str, ...]
    bbox: tuple[float, float, float, float] | None


class Consistency(Protocol):
    """Compares in the database. Only findings, runs and measures are written."""

    def to_measure(self, limit: int, without: Collection[str]) -> Sequence[TableToMeasure]:
        """Feature tables that changed since they were measured, but for some."""
        ...

    def measure(self, tables: Sequence[TableToMeasure]) -> Sequence[Measurement]:
        """Read some tables in one statement; those that are gone meanwhile are left out."""
        ...

    def keep(self, measured: Sequence[tuple[Measurement, tuple[float, float, float, float] | None]]) -> None:
        """Remember measurements with their extents in EPSG:4326."""
        ...

    def cog(self, cog_id: str) -> CogMetadata | None:
        """The row of a COG."""
        ...

    def shown(self, collection_id: str, item_id: str) -> bool:
        """Whether STAC has the item."""
        ...

    def to_repair(self, findings: Sequence[int], collection_id: str | None, limit: int) -> Sequence[DriftToRepair]:
        """Open findings that need no person: those named, of a collection, or without either all."""
        ...

    def orphans(self, wanted: OrphanBlobsParameters) -> OrphanBlobs:
        """Outputs in one container that nothing speaks of, by the rule of a comparison. Writes nothing."""
        ...

    def compare(self, scope: ComparisonScope, job_id: str) -> Compared:
        """Compare everything in the scope in one snapshot and write the findings. A repetition sees the same."""
        ...


CONSISTENCY_MEASURE = TaskType(
    "consistency_measure", ReconcileParameters, Measured, Queue.VECTOR, Weight.HEAVY, timeout=1800.0
)
ORPHAN_BLOB_INVENTORY = TaskType(
    "orphan_blob_inventory", OrphanBlobsParameters, OrphanBlobs, Queue.VECTOR, Weight.HEAVY, timeout=3600.0
)
ORPHAN_BLOB_LOOK = TaskType("orphan_blob_look", OrphanPage, LookedAtPage, Queue.VECTOR, Weight.HEAVY)
CONSISTENCY_COMPARE = TaskType(
    "consistency_compare", ReconcileParameters, Compared, Queue.VECTOR, Weight.HEAVY, timeout=3600.0
)
