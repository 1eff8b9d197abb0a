"""Domain rows that a handler asks to be written in the very transaction that completes its task.

A handler never writes them itself: an attempt that lost its lease would leave them behind.
Each effect has one executor in `infrastructure.postgres.effects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from core.models.catalog import FeatureCollectionStyle, GeoTableCatalog, VectorEtlTracking
from core.models.cogs import CogMetadata
from core.models.consistency import DriftKind
from core.models.curated import CuratedUpdateStatus
from core.models.datasets import DatasetRef

StacJson = Mapping[str, JsonValue]
#: The collection's asset that is its MosaicJSON.
MOSAIC_ASSET = "mosaicjson"


@dataclass(frozen=True)
class MosaicFile:
    """A MosaicJSON that was written for a collection as it was read: `cogs` are those of all items after the effect."""

    asset: StacJson
    cogs: frozenset[str]


@dataclass(frozen=True)
class UpsertStacItem:
    """Write a STAC item; create its collection when absent, else widen the collection's extent.

    An existing item keeps its `app:published*` and `app:approved_by` properties. With `must_exist` a collection that
    is absent is a NotFound. Countries (`geo:*`) and the stored render configurations of its COG, whose row must have
    been written before, are added as it is written. A MosaicJSON that would no longer list the COGs of the collection
    is a CollectionChanged, or with `drops_mosaic` no longer the collection's.
    """

    collection: StacJson
    item: StacJson
    must_exist: bool = False
    mosaic_file: MosaicFile | None = None
    drops_mosaic: bool = False


@dataclass(frozen=True)
class ExtendCollection:
    """Write items into one collection, with its extent, its summaries and its mosaic, as UpsertStacItem does one.

    `mosaic` registers the collection's published items as a search of pgSTAC.
    """

    collection: StacJson
    items: tuple[StacJson, ...]
    must_exist: bool = False
    mosaic: bool = False
    mosaic_file: MosaicFile | None = None
    drops_mosaic: bool = False


@dataclass(frozen=True)
class RemoveRaster:
    """Take a raster out of the catalogue: item, row, references, renders, its part in reviews; the collection shrinks.

    An approved one is a Conflict unless `force_approved`. `delete_collection` removes a collection left without items.
    """

    collection_id: str
    item_id: str
    force_approved: bool
    delete_collection: bool
    by: str
    reason: str
    mosaic_file: MosaicFile | None = None


@dataclass(frozen=True)
class UpsertCogMetadata:
    """Write the row of `app.cog_metadata` that describes a COG."""

    record: CogMetadata


@dataclass(frozen=True)
class UpsertDatasetRef:
    """Say which dataset version an item shows. Comes after the effect that writes its COG or table."""

    ref: DatasetRef


@dataclass(frozen=True)
class SwapFeatureTable:
    """Rename a loaded staging table, with its tile view, to the published names and write its catalogue rows.

    `overwrite` lets it drop the table that has the name now; without it that table is a TargetExists. A style is
    written unless the table has that one already.
    """

    schema: str
    staging: str
    table: str
    catalog: GeoTableCatalog
    tracking: VectorEtlTracking
    overwrite: bool = False
    style: FeatureCollectionStyle | None = None


@dataclass(frozen=True)
class MergeFeatureTable:
    """Move the rows of a staging table into the published one, drop the former and write the catalogue rows.

    Rows whose `key` the table has are replaced and keep their id; without a key all are added. Nothing is moved, and
    TargetChanged raised, when the table is no longer as `expected` (its catalogue row's `updated_at`) says.
    """

    schema: str
    staging: str
    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    expected: datetime
    catalog: GeoTableCatalog
    tracking: VectorEtlTracking


@dataclass(frozen=True)
class RemoveFeatureTable:
    """Drop a table with its tile view, its catalogue, tracking, style and reference rows, and its STAC item.

    What of it is there: nothing need be. Raises Conflict when the public sees it, unless `force`; then its review is
    revoked, by `by` for `reason`. `delete_collection` removes a collection left without items.
    """

    schema: str
    table: str
    by: str
    reason: str
    force: bool = False
    delete_collection: bool = False


@dataclass(frozen=True)
class CatalogFeatureTable:
    """Write the catalogue row of a table that is there already, and its style unless it has that one.

    TargetChanged is raised when the table is gone, or its catalogue row is no longer of `expected`, its `updated_at`;
    None when it had no row.
    """

    catalog: GeoTableCatalog
    style: FeatureCollectionStyle
    expected: datetime | None


@dataclass(frozen=True)
class RepairTarget:
    """What a repair touches, by name."""

    collection_id: str | None = None
    item_id: str | None = None
    cog_id: str | None = None
    table_name: str | None = None


@dataclass(frozen=True)
class RepairDrift:
    """Mend one object, keep what it was before and after, and close its finding. A second time changes nothing.

    It is no new revision: what the public sees stays published and needs no review. `expected` is the `updated_at` of
    the record that documents were made from; another one is a TargetChanged.
    """

    kind: DriftKind
    object: str
    target: RepairTarget
    by: str
    finding_id: int | None = None
    expected: datetime | None = None
    collection: StacJson | None = None
    item: StacJson | None = None
    catalog: GeoTableCatalog | None = None
    ref: DatasetRef | None = None
    mosaic_file: MosaicFile | None = None
    etag: str | None = None
    path: str | None = None
    refused: str | None = None  #: why this one needs a person after all; nothing is mended then


@dataclass(frozen=True)
class NoteCurated:
    """Write down how far the job's update of a curated dataset is, and that its source was looked at.

    `content_sha256` is of what need not be loaded again, by a definition of `defined_at`. `records` are added, updated,
    deleted and in all, once they are loaded.
    """

    dataset_id: str
    job_id: str
    status: CuratedUpdateStatus
    message: str | None = None
    source_version: str | None = None
    content_sha256: str | None = None
    defined_at: datetime | None = None
    records: tuple[int, int, int, int] | None = None


Effect = (
    UpsertStacItem
    | ExtendCollection
    | RemoveRaster
    | UpsertCogMetadata
    | UpsertDatasetRef
    | SwapFeatureTable
    | MergeFeatureTable
    | RemoveFeatureTable
    | CatalogFeatureTable
    | RepairDrift
    | NoteCurated
)
