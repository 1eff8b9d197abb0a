"""What of the catalogue disagrees with itself: findings, the comparisons that made them, and what they measured."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import BigInt, Created, JobId, Json, NonNegative, Record, RowCount
from core.schema.table import Check, Column, ForeignKey, Index, Table


class DriftKind(StrEnum):
    """How two places disagree. Each is a block of that name in `sql/drift.sql`."""

    STAC_ITEM_WITHOUT_RECORD = "stac_item_without_record"  #: nothing describes the COG or table that an item shows
    RECORD_WITHOUT_STAC_ITEM = "record_without_stac_item"  #: a described COG or table that STAC does not show
    BROKEN_BACKLINK = "broken_backlink"  #: a record names another item than the one that shows it
    CHANGED_ITEM = "changed_item"  #: an item says something else than was written
    MISSING_BLOB = "missing_blob"  #: the file of a described COG is not in storage
    CHANGED_BLOB = "changed_blob"  #: the file of a described COG has another size or ETag
    ORPHAN_BLOB = "orphan_blob"  #: an output in storage that nothing speaks of
    TABLE_WITHOUT_CATALOG_ROW = "table_without_catalog_row"  #: features in schema geo that nothing describes
    CATALOG_ROW_WITHOUT_TABLE = "catalog_row_without_table"  #: a described table that is not in the database
    WRONG_EXTENT = "wrong_extent"  #: the features lie elsewhere than their row says
    WRONG_COUNT = "wrong_count"  #: there are more or fewer features than their row says
    WRONG_SRID = "wrong_srid"  #: the geometry column has another CRS than its row says
    UNTYPED_GEOMETRY = "untyped_geometry"  #: the geometry column does not say what it holds
    MISSING_SPATIAL_INDEX = "missing_spatial_index"  #: the geometry column has no index
    PUBLISHED_MISMATCH = "published_mismatch"  #: the public sees what nobody approved, or not what somebody did
    STALE_COLLECTION_EXTENT = "stale_collection_extent"  #: a collection does not cover its items
    STALE_MOSAIC = "stale_mosaic"  #: a collection's mosaic does not show its items
    DANGLING_REF = "dangling_ref"  #: a dataset's reference leads to no item
    STALE_REVISION = "stale_revision"  #: the revision in force is of an item that is gone, or shows something else
    MISSING_REF = "missing_ref"  #: a dataset version's COG or table that its references do not name
    MISSING_RUN = "missing_run"  #: a dataset's table of which nobody knows any more how it was filled


class DriftSeverity(StrEnum):
    """How bad it is."""

    INFO = "info"  #: untidy
    WARNING = "warning"  #: slow, or wrong in a detail
    ERROR = "error"  #: something cannot be found or read, or is shown that must not be


class FindingState(StrEnum):
    """What became of a finding."""

    OPEN = "open"  #: seen by the latest comparison
    REPAIRED = "repaired"  #: a repair ended it
    GONE = "gone"  #: a later comparison did not see it any more
    DISMISSED = "dismissed"  #: a person said that it may stay


class ComparisonScope(StrEnum):
    """How much is compared."""

    FULL = "full"  #: everything, with a listing of storage
    GEO_ORPHANS = "geo_orphans"  #: tables and their rows
    GEO_INTEGRITY = "geo_integrity"  #: geometry columns, indexes, counts and extents


class ConsistencyFinding(Record):
    """A disagreement about one object. Seen again it is the same finding; `detail` holds the names a repair needs.

    `refused` says why a repair that was tried left it to a person.
    """

    __table__: ClassVar[Table] = Table(
        name="consistency_findings",
        primary_key=("finding_id",),
        uniques=(("kind", "object"),),
        indexes=(Index(("kind", "finding_id"), where="state = 'open'", name="ix_consistency_findings_open"),),
        checks=(
            Check(
                "dismissed_by_somebody",
                "state <> 'dismissed' OR (dismissed_by IS NOT NULL AND dismissal_reason IS NOT NULL)",
            ),
        ),
    )

    finding_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    kind: DriftKind
    object: str
    severity: DriftSeverity
    cause: str
    proposed_repair: str
    automatic: bool
    detail: Json = Field(default_factory=dict)
    state: FindingState = FindingState.OPEN
    first_seen: Created
    last_seen: Created
    run_id: BigInt
    refused: str | None = None
    dismissed_by: str | None = None
    dismissal_reason: str | None = None


class ConsistencyRun(Record):
    """A comparison that was finished. `counts` are the disagreements it saw, by kind."""

    __table__: ClassVar[Table] = Table(
        name="consistency_runs", primary_key=("run_id",), indexes=(Index(("started_at",)),)
    )

    run_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    scope: ComparisonScope
    job_id: JobId | None = None
    started_at: AwareDatetime
    finished_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    items: NonNegative = 0
    blobs: NonNegative = 0
    tables: NonNegative = 0
    seen: NonNegative = 0
    opened: NonNegative = 0
    closed: NonNegative = 0
    counts: Json = Field(default_factory=dict)


class TableMeasure(Record):
    """What a feature table held when it was last read. It is read again once its file, counters or row changed.

    The extent is in EPSG:4326 and null where it cannot be told there.
    """

    __table__: ClassVar[Table] = Table(name="table_measures", primary_key=("table_name",))

    table_name: Annotated[str, Field(max_length=63)]
    filenode: BigInt
    changes: BigInt
    catalog_updated_at: AwareDatetime
    measured_at: Created
    row_count: RowCount
    srids: list[int]
    geometry_types: list[str]
    west: float | None = None
    south: float | None = None
    east: float | None = None
    north: float | None = None


class Repair(Record):
    """Something that was mended: what a repair touches, before and after it, so that it can be undone."""

    __table__: ClassVar[Table] = Table(
        name="repairs",
        primary_key=("repair_id",),
        indexes=(Index(("finding_id",)), Index(("object", "repair_id"))),
        checks=(Check("undone_by_somebody", "(undone_at IS NULL) = (undone_by IS NULL)"),),
        foreign_keys=(ForeignKey(("finding_id",), "app.consistency_findings", ("finding_id",), on_delete="SET NULL"),),
    )

    repair_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    finding_id: BigInt | None = None
    kind: DriftKind
    object: str
    target: Json
    by: Annotated[str, Field(min_length=1)]
    before: Json
    after: Json
    repaired_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    undone_at: AwareDatetime | None = None
    undone_by: str | None = None
