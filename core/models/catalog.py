"""What was published from where: feature tables and the runs that made them. Sizes are bytes.

Tables in `geo` are replicated to other databases, so they carry nothing about jobs, containers or accounts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.platform import AccessLevel
from core.models.record import ByteCount, JobId, Json, NonNegative, Record, RowCount, Stamped
from core.schema.table import Check, ForeignKey, Index, Table, is_one_of

BBOX_ORDERED = Check("bbox_ordered", "bbox_minx <= bbox_maxx AND bbox_miny <= bbox_maxy")
BBOX_WHOLE = Check("bbox_whole", "num_nulls(bbox_minx, bbox_miny, bbox_maxx, bbox_maxy) IN (0, 4)")
TIME_ORDERED = Check("temporal_ordered", "temporal_start <= temporal_end")


class EtlStatus(StrEnum):
    """How far a run is that fills a feature table."""

    PENDING = "pending"  #: asked for
    PROCESSING = "processing"  #: reading or loading
    COMPLETED = "completed"  #: its rows are the published ones
    FAILED = "failed"  #: gave up; the table is as it was
    SUPERSEDED = "superseded"  #: a later run replaced its rows


class WriteMode(StrEnum):
    """What a run does to the table of its name."""

    CREATE = "create"  #: make it; refused when it is there
    OVERWRITE = "overwrite"  #: replace its rows, columns and indexes
    APPEND = "append"  #: add rows to it
    UPSERT = "upsert"  #: replace the rows whose key the file has, add the others


class GeoTableCatalog(Record):
    """A published feature table, as the services and the databases it is replicated to see it.

    `bbox_*` is in EPSG:4326, `srid` that of the geometry column; `geometry_types` are those that its rows have.
    `tile_view` is the materialised view of the same rows in small pieces from which tiles are made.
    """

    __table__: ClassVar[Table] = Table(
        name="table_catalog",
        schema="geo",
        primary_key=("table_name",),
        indexes=(
            Index(("stac_collection_id", "stac_item_id")),
            Index(("stac_item_id", "stac_collection_id"), unique=True),  # an item is one table
            Index(("created_at",)),
        ),
        checks=(
            BBOX_ORDERED,
            BBOX_WHOLE,
            TIME_ORDERED,
            Check("published_has_date", "NOT published OR published_at IS NOT NULL"),
            # The enum type lives in schema app, which is not replicated.
            Check("access_level_known", is_one_of("access_level", AccessLevel)),
        ),
    )

    table_name: Annotated[str, Field(max_length=63)]
    schema_name: Annotated[str, Field(max_length=63)] = "geo"
    title: str | None = None
    description: str | None = None
    keywords: str | None = None
    license: str | None = None
    attribution: str | None = None
    bbox_minx: float | None = None
    bbox_miny: float | None = None
    bbox_maxx: float | None = None
    bbox_maxy: float | None = None
    temporal_start: AwareDatetime | None = None
    temporal_end: AwareDatetime | None = None
    temporal_property: str | None = None
    geometry_type: str | None = None
    geometry_types: list[str] | None = None
    primary_geometry: Annotated[str, Field(max_length=63)] = "geom"
    primary_key: Annotated[str, Field(max_length=63)] = "id"
    tile_view: Annotated[str, Field(max_length=63)] | None = None
    srid: Annotated[int, Field(ge=0)] = 4326
    feature_count: RowCount | None = None
    stac_collection_id: str | None = None
    stac_item_id: str | None = None
    stac_extensions: list[str] | None = None
    providers: list[Json] | None = None
    sci_doi: str | None = None
    sci_citation: str | None = None
    table_type: str = "user"
    access_level: str = AccessLevel.OUO.value
    column_definitions: Json | None = None
    custom_properties: Json | None = None
    published: bool = False
    published_at: AwareDatetime | None = None
    created_at: Stamped = None
    updated_at: Stamped = None


class VectorEtlTracking(Record):
    """One run that filled a feature table, and for whom; never replicated.

    `requested_table` is the name that was asked for, which a file of several tables only begins theirs with.
    """

    __table__: ClassVar[Table] = Table(
        name="vector_etl_tracking",
        primary_key=("table_name", "etl_job_id"),
        indexes=(Index(("etl_job_id",)), Index(("created_at",))),
        checks=(Check("failed_has_error", "status <> 'failed' OR error_message IS NOT NULL"),),
        foreign_keys=(ForeignKey(("table_name",), "geo.table_catalog", ("table_name",), on_delete="CASCADE"),),
    )

    table_name: Annotated[str, Field(max_length=63)]
    etl_job_id: JobId
    job_type: str | None = None
    write_mode: WriteMode = WriteMode.CREATE
    requested_table: Annotated[str | None, Field(max_length=63)] = None
    dataset_id: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    client_id: str | None = None
    source_file: str | None = None
    source_format: str | None = None
    source_crs: str | None = None
    source_size_bytes: ByteCount | None = None
    source_hash: str | None = None
    status: EtlStatus = EtlStatus.PENDING
    processing_started_at: AwareDatetime | None = None
    processing_completed_at: AwareDatetime | None = None
    processing_duration_ms: NonNegative | None = None
    target_crs: str = "EPSG:4326"
    rows_read: RowCount | None = None
    rows_written: RowCount | None = None
    rows_skipped: RowCount | None = None
    geometry_repairs: RowCount | None = None
    processing_software: str | None = None
    processing_version: str | None = None
    pipeline_version: str | None = None
    error_message: str | None = None
    error_details: Json | None = None
    findings: list[Json] | None = None
    created_at: Stamped = None
    created_by: str | None = None


class VectorLoad(Record):
    """A part of a file that is in a staging table. Written with its rows, so that nobody loads it again.

    `part` numbers the parts of all layers of the job; `output` is what the task that loaded it answered.
    """

    __table__: ClassVar[Table] = Table(name="vector_loads", primary_key=("staging", "part"))

    staging: Annotated[str, Field(max_length=63)]
    part: NonNegative
    output: Json
    created_at: Stamped = None


class FeatureCollectionStyle(Record):
    """How a feature table is drawn, as `core.contracts.styles` encodes it; one per table is the default."""

    __table__: ClassVar[Table] = Table(
        name="feature_collection_styles",
        schema="geo",
        primary_key=("collection_id", "style_id"),
        indexes=(Index(("collection_id",), unique=True, where="is_default", name="ux_styles_default"),),
        foreign_keys=(ForeignKey(("collection_id",), "geo.table_catalog", ("table_name",), on_delete="CASCADE"),),
    )

    collection_id: Annotated[str, Field(max_length=63)]
    style_id: Annotated[str, Field(max_length=63, pattern="^[a-z0-9][a-z0-9_-]*$")]
    title: str | None = None
    description: str | None = None
    style_spec: Json
    is_default: bool = False
    created_at: Stamped = None
    updated_at: Stamped = None
