"""What the vector pipeline's stages say to each other, and what partners may ask of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from core.contracts.storage import BlobName
from core.contracts.tables import STAGING_MARK, FeatureColumn, FeatureTable, SqlType, staging_name
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.contracts.vector_findings import Finding
from core.contracts.vector_formats import EXTENSIONS, VectorFormat
from core.contracts.vector_tables import TableOptions
from core.models.catalog import FeatureCollectionStyle, GeoTableCatalog
from core.models.curated import SystemRole
from core.models.platform import AccessLevel

_OURS = frozenset({GeoTableCatalog.__table__.name, FeatureCollectionStyle.__table__.name})
_TABLE = re.compile(r"^[a-z_][a-z0-9_]{0,62}$")


def require_table_name(value: str) -> str:
    """The name. Raises ValueError saying what it must be."""
    if not _TABLE.match(value):
        raise ValueError("must be 1 to 63 lower-case letters, digits and underscores, not starting with a digit")
    if value in _OURS:
        raise ValueError("is the name of a table of the system")
    if STAGING_MARK in value:
        raise ValueError(f"must not contain {STAGING_MARK}, which marks unfinished tables")
    return value


TableName = Annotated[str, AfterValidator(require_table_name)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Identity = Annotated[str, StringConstraints(min_length=1, max_length=255)]
EpsgCode = Annotated[str, StringConstraints(pattern=r"^EPSG:\d{4,6}$", to_upper=True)]


class Simplify(Contract):
    """Drop vertices closer than `tolerance`, in units of the target CRS."""

    tolerance: float = Field(gt=0)
    preserve_topology: bool = True


class Quantize(Contract):
    """Snap coordinates to a grid of this size, in units of the target CRS."""

    grid_size: float = Field(gt=0)


class MixedTypes(StrEnum):
    """What becomes of a layer that holds points, lines and polygons together."""

    SPLIT = "split"  #: a table for each kind, named after it
    COLLECTION = "collection"  #: one table in which every geometry is a GeometryCollection
    GEOMETRY = "geometry"  #: one table of any geometry


class OnInvalid(StrEnum):
    """What becomes of a feature whose geometry is not valid."""

    REPAIR = "repair"  #: it is made valid, and counted
    SKIP = "skip"  #: it is left out, and counted
    FAIL = "fail"  #: the job fails and names the first


class GeometryOptions(Contract):
    """Changes to geometry that the request asks for; without it nothing but Multi and validity is changed."""

    simplify: Simplify | None = None
    quantize: Quantize | None = None
    mixed: MixedTypes = MixedTypes.SPLIT
    keep_z: bool = True
    keep_m: bool = False
    orient_rings: bool = False  #: exterior rings counter-clockwise, holes clockwise, as RFC 7946 wants
    split_antimeridian: bool = False  #: cut what crosses longitude 180 into parts on either side
    drop_duplicates: bool = False  #: of features alike in geometry and every attribute, keep the first


class IndexOptions(Contract):
    """Which indexes the table gets, by column name in the file or in the table."""

    spatial: bool = True
    cluster: bool = False  #: rows stored along a Hilbert curve, so that neighbours share pages
    attributes: tuple[str, ...] = Field((), max_length=50)
    temporal: tuple[str, ...] = Field((), max_length=50)


_CONVERTER_KEYS = ("lat_name", "lon_name", "wkt_column", "layer_name")


class ProcessVectorParameters(TableOptions):
    """Parameters of `process_vector`. `converter_params` is another place for the names of columns and layer."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    blob_name: str = Field(min_length=1, max_length=900)
    file_extension: VectorFormat
    container_name: str = "bronze-vectors"
    table_name: TableName
    schema_name: Literal["geo"] = Field("geo", alias="schema")

    layer_name: Text | None = None
    all_layers: bool = False  #: a table for every layer, named after it
    on_invalid: OnInvalid = OnInvalid.REPAIR
    lat_name: Text | None = None
    lon_name: Text | None = None
    wkt_column: Text | None = None
    input_crs: Text | None = None
    target_crs: EpsgCode = "EPSG:4326"
    geometry_params: GeometryOptions = GeometryOptions()
    indexes: IndexOptions = IndexOptions()
    column_mapping: Mapping[str, str] = Field(default_factory=dict, max_length=2000)
    temporal_property: Text | None = None

    title: Text | None = None
    description: Text | None = None
    attribution: Text | None = None
    license: Text | None = None
    keywords: tuple[Text, ...] = Field((), max_length=100)

    dataset_id: Identity | None = None
    resource_id: Identity | None = None
    version_id: Identity | None = None
    request_id: Identity | None = None
    client_id: Identity | None = None
    access_level: AccessLevel
    collection_id: Identity = "system-vectors"
    item_id: Identity | None = None
    system_role: SystemRole | None = None  #: what the system itself uses the table for

    @model_validator(mode="before")
    @classmethod
    def _lift_converter_params(cls, value: object) -> object:
        # One spelling inside, so that the same work has the same job_id whichever way it was asked for.
        if not isinstance(value, dict) or "converter_params" not in value:
            return value
        rest = {k: v for k, v in value.items() if k != "converter_params"}
        given = value["converter_params"] or {}
        if not isinstance(given, dict):
            raise ValueError("converter_params must be an object")
        for key, name in given.items():
            if key not in _CONVERTER_KEYS:
                raise ValueError(f"converter_params.{key} is not known; known are {', '.join(_CONVERTER_KEYS)}")
            if rest.get(key) not in (None, name):
                raise ValueError(f"converter_params.{key} contradicts {key}")
            rest[key] = name
        return rest

    @model_validator(mode="before")
    @classmethod
    def _normal_extension(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("file_extension"), str):
            extension = value["file_extension"].lower().lstrip(".")
            return {**value, "file_extension": EXTENSIONS.get(extension, extension)}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ProcessVectorParameters:
        if (self.lat_name is None) != (self.lon_name is None):
            raise ValueError("give lat_name and lon_name together")
        if self.lat_name and self.wkt_column:
            raise ValueError("give lat_name and lon_name, or wkt_column, not both")
        if self.layer_name and self.all_layers:
            raise ValueError("give layer_name, or all_layers, not both")
        if self.joins and (self.temporal_property or self.indexes != IndexOptions() or self.item_id):
            raise ValueError("temporal_property, indexes and item_id of a table that rows join stay as they are")
        return self

    @property
    def source(self) -> BlobName:
        """Where the file is."""
        return BlobName(self.container_name, self.blob_name)


class Delimited(Contract):
    """How to read a text table. Its parser is given `block` bytes at a time, no fewer than the longest row has."""

    delimiter: str
    encoding: str
    block: int = 4 << 20


class SourcePlan(Contract):
    """How every stage opens the file, decided once. `member` is the data file's path inside an archive.

    `shown` is what messages call it: with the layer, where the job loads several.
    """

    shown: str
    format: VectorFormat
    member: str | None = None
    layer: str | None = None
    driver: str
    plain: bool = False  #: GeoJSON that is read without GDAL
    #: Of the attributes, where finding them takes a pass. Pairs: their order counts, and the database sorts an object.
    types: tuple[tuple[str, SqlType], ...] = ()
    geometry_column: str | None = None
    lat_name: str | None = None
    lon_name: str | None = None
    wkt_column: str | None = None
    delimited: Delimited | None = None
    numbered: bool = False  #: GeoJSON whose features have numbers as ids, read by GDAL
    odd_date: str | None = None  #: of such a file, why its dates are read as text
    #: Whether GDAL is to give times as text, as it would leave out their zones, and what those columns then hold.
    times_as_text: bool = False
    moments: tuple[str, ...] = ()
    local_times: tuple[str, ...] = ()
    crs: str  #: authority code or WKT, horizontal part only
    area: tuple[float, float, float, float] | None = None  #: where the layer lies, in degrees, if it is reprojected


class ColumnPlan(Contract):
    """An attribute column: its name in the file and in the table, and its type."""

    name: str
    sql_type: SqlType
    source_name: str


class TablePlan(Contract):
    """The table to build. `takes` are the WKB base types that go into it, where the layer has other tables too."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    schema_name: str = Field(alias="schema")
    name: TableName
    geometry_type: str
    srid: int
    columns: tuple[ColumnPlan, ...]
    takes: tuple[int, ...] = ()

    def staging(self, name: str) -> FeatureTable:
        """The same table under the name of an unfinished one."""
        columns = tuple(FeatureColumn(c.name, c.sql_type, c.source_name) for c in self.columns)
        return FeatureTable(self.schema_name, name, self.geometry_type, self.srid, columns)


class Partition(Contract):
    """A part of a layer that can be read alone. `start` and `stop` are in the reader's own unit.

    A feature's id is its position in the layer, from 1, whichever partition reads it; `first_id` is that of the first.
    """

    first_id: int
    features: int
    start: int
    stop: int


class LayerPlan(Contract):
    """A layer and the tables it becomes: one, or one for each kind of geometry.

    `feature_count` is the reader's count, null geometries included; the partitions cover it without overlap, in order.
    """

    source: SourcePlan
    tables: tuple[TablePlan, ...]
    feature_count: int
    partitions: tuple[Partition, ...]
    findings: tuple[Finding, ...]


class PreparedVector(Contract):
    """What prepare found out. Its staging tables are there, empty."""

    layers: tuple[LayerPlan, ...]
    size_bytes: int
    etag: str
    started_at: datetime

    def part(self, layer: int, partition: int) -> int:
        """The number of a partition among those of all layers."""
        return sum(len(before.partitions) for before in self.layers[:layer]) + partition

    def staging(self, job_id: str, layer: int) -> tuple[FeatureTable, ...]:
        """The unfinished tables of a layer; every attempt to prepare has others."""
        first = sum(len(before.tables) for before in self.layers[:layer])
        attempt = int(self.started_at.timestamp() * 1000) * 1000
        return tuple(
            table.staging(staging_name(table.name, job_id, attempt + number))
            for number, table in enumerate(self.layers[layer].tables, first)
        )


class UploadVector(Contract):
    """Load one partition of one layer that prepare planned. Both are positions, from 0."""

    parameters: ProcessVectorParameters
    prepared: PreparedVector
    layer: int = 0
    partition: int = 0


class UploadedTable(Contract):
    """What one partition put into a staging table, and what was noticed about that.

    `bounds` are (min x, min y, max x, max y) of the rows in the table's CRS, None without rows.
    """

    rows_written: int
    bounds: tuple[float, float, float, float] | None
    findings: tuple[Finding, ...]


class UploadedVector(Contract):
    """One loaded partition, not indexed yet: its tables in the order of the layer's plan.

    `findings` are the reader's, before it was known which table a feature goes into.
    """

    layer: int
    partition: int
    tables: tuple[UploadedTable, ...]
    rows_read: int
    findings: tuple[Finding, ...]

    @property
    def rows_written(self) -> int:
        """Rows in all of its tables."""
        return sum(t.rows_written for t in self.tables)


class CreateVectorStac(Contract):
    """Index the staging tables, describe them and have them take their places."""

    parameters: ProcessVectorParameters
    prepared: PreparedVector
    uploaded: tuple[UploadedVector, ...]


class PublishedTable(Contract):
    """A table as it is catalogued. `bbox` is in EPSG:4326; `rows_written` of this run, `row_count` in the table now."""

    table_name: str
    collection_id: str
    item_id: str
    bbox: tuple[float, float, float, float]
    rows_written: int
    row_count: int
    geometry_type: str
    geometry_types: tuple[str, ...]
    source_crs: str
    srid: int
    column_definitions: Mapping[str, JsonValue]


class VectorPublished(Contract):
    """Every table of the job, the first being the one that carries its name where there is one."""

    tables: tuple[PublishedTable, ...]
    rows_read: int
    findings: tuple[Finding, ...]


class VectorProcessed(Contract):
    """All stages done by one task."""

    parts: int
    published: VectorPublished


VECTOR_PREPARE = TaskType("process_vector_prepare", ProcessVectorParameters, PreparedVector, Queue.VECTOR, Weight.HEAVY)
VECTOR_UPLOAD = TaskType("process_vector_upload", UploadVector, UploadedVector, Queue.VECTOR, Weight.HEAVY)
VECTOR_CREATE_STAC = TaskType("vector_create_stac", CreateVectorStac, VectorPublished, Queue.VECTOR, Weight.HEAVY)
VECTOR_PROCESS_COMPLETE = TaskType(
    "vector_process_complete", ProcessVectorParameters, VectorProcessed, Queue.LONG, Weight.HEAVY
)
