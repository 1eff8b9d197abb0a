"""PostGIS feature tables as the vector pipeline sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

from core.contracts.tasks import Contract
from core.errors import Conflict
from core.models.catalog import GeoTableCatalog, VectorEtlTracking

if TYPE_CHECKING:
    import pyarrow as pa


class SqlType(StrEnum):
    """Every type an attribute column may have; each is fed by the Arrow type named beside it."""

    BOOLEAN = "boolean"  #: bool
    SMALLINT = "smallint"  #: int16
    INTEGER = "integer"  #: int32
    BIGINT = "bigint"  #: int64
    REAL = "real"  #: float32
    DOUBLE = "double precision"  #: float64
    NUMERIC = "numeric"  #: decimal128 or decimal256
    TEXT = "text"  #: string
    BYTEA = "bytea"  #: binary
    DATE = "date"  #: date32
    TIME = "time"  #: time64[us]
    TIMESTAMP = "timestamp"  #: timestamp[us]
    TIMESTAMPTZ = "timestamptz"  #: timestamp[us, UTC]
    INTERVAL = "interval"  #: duration[us]
    JSONB = "jsonb"  #: string that holds JSON
    BOOLEAN_LIST = "boolean[]"  #: list<bool>
    INTEGER_LIST = "integer[]"  #: list<int32>
    BIGINT_LIST = "bigint[]"  #: list<int64>
    DOUBLE_LIST = "double precision[]"  #: list<float64>
    TEXT_LIST = "text[]"  #: list<string>


STAGING_MARK = "__stg_"
_VIEW_MARK = "__stv_"


def staging_name(table: str, job_id: str, number: int) -> str:
    """The name of an unfinished table, at most 63 bytes. `number` tells attempts and tables of a job apart."""
    suffix = f"{STAGING_MARK}{job_id[:8]}_{number}"
    return table[: 63 - len(suffix)] + suffix


def staging_view(staging: str) -> str:
    """The name of an unfinished table's tile view."""
    return staging.replace(STAGING_MARK, _VIEW_MARK)


@dataclass(frozen=True)
class FeatureColumn:
    """An attribute column. `source_name` is what the file calls it."""

    name: str
    sql_type: SqlType
    source_name: str


@dataclass(frozen=True)
class FeatureTable:
    """A table of features to build: `id bigint`, the attribute columns, `geom geometry(<geometry_type>, <srid>)`."""

    schema: str
    name: str
    geometry_type: str  #: PostGIS type name with Multi and Z as needed, such as MultiPolygonZ
    srid: int
    columns: tuple[FeatureColumn, ...]


@dataclass(frozen=True)
class TableIndexes:
    """What is built once the rows are there. `cluster` sorts them along a Hilbert curve."""

    spatial: bool = True
    cluster: bool = False
    primary_key: str = "id"
    attributes: Sequence[str] = ()
    temporal: Sequence[str] = ()


@dataclass(frozen=True)
class TableFacts:
    """What a loaded table holds. `bbox` is (min x, min y, max x, max y) in the table's CRS."""

    row_count: int
    bbox: tuple[float, float, float, float]
    geometry_types: tuple[str, ...]
    temporal: tuple[str, str] | None  #: first and last moment of the temporal column, ISO 8601 in UTC


@dataclass(frozen=True)
class LiveTable:
    """A table as the database has it. `columns` are its attributes with PostgreSQL's names of their types.

    `catalog` is its row, None when it has none; `updated_at` there changes whenever the rows do. A table without
    `id` or `geom` was not made here.
    """

    schema: str
    name: str
    geometry_type: str | None
    srid: int
    columns: Mapping[str, str]
    primary_key: str | None
    has_id: bool
    catalog: GeoTableCatalog | None

    def as_feature_table(self) -> FeatureTable:
        """The same table, for what asks of its rows only."""
        return FeatureTable(self.schema, self.name, self.geometry_type or "Geometry", self.srid, ())


def require_item(catalog: GeoTableCatalog, collection_id: str | None, item_id: str | None) -> None:
    """Raise Conflict when a catalogued table would get another item: its review is about the one it has."""
    if catalog.stac_item_id is None or (catalog.stac_collection_id, catalog.stac_item_id) == (collection_id, item_id):
        return
    raise Conflict(
        f"Table {catalog.schema_name}.{catalog.table_name} is item {catalog.stac_item_id} of collection "
        f"{catalog.stac_collection_id}; it cannot become item {item_id} of {collection_id}.",
        hint=f"Send collection_id {catalog.stac_collection_id} and item_id {catalog.stac_item_id}, or unpublish the "
        "table first.",
    )


def item_taken(collection_id: str, item_id: str, holder: str) -> Conflict:
    """Why a table cannot be the item: it is `holder`'s."""
    return Conflict(
        f"Item {item_id} of collection {collection_id} is {holder}.",
        hint="Leave item_id out, or choose another item_id or collection_id.",
    )


@dataclass(frozen=True)
class ColumnValues:
    """What an attribute column holds: its most frequent values, or quantiles of a number."""

    name: str
    distinct: int  #: at most one more than was asked for
    values: tuple[str | int | float | bool, ...]
    quantiles: tuple[float, ...]


class HeldTable(Contract):
    """What there is of a table: relation, catalogue row, item, styles, tile view, runs, references."""

    table_name: str
    exists: bool
    catalogued: bool
    row_count: int | None
    published: bool
    stac_collection_id: str | None
    stac_item_id: str | None
    item_exists: bool
    tile_view: str | None
    styles: tuple[str, ...]
    runs: int
    dataset_refs: int


Told = Callable[[Sequence[int]], Mapping[str, JsonValue]]


class FeatureTables(Protocol):
    """Builds feature tables beside the published ones. Each call is a transaction of its own."""

    def create(self, table: FeatureTable) -> None:
        """Create the table empty and without indexes, dropping what an earlier attempt left under the name."""
        ...

    def loaded(self, staging: str, part: int) -> Mapping[str, JsonValue] | None:
        """What was told when the part was loaded into the first of its tables; None when it was not."""
        ...

    def load(
        self, streams: Sequence[tuple[FeatureTable, Iterable[pa.RecordBatch]]], part: int, told: Told
    ) -> Mapping[str, JsonValue]:
        """Binary COPY of Arrow batches into each table in turn: `id`, the columns in their order, `geom` as WKB.

        All rows of all tables or none, and with them what `told` makes of the row counts. A part that was loaded
        already is not read: the answer is what was told then. Raises UnsupportedFormat for a row too big for a page.
        """
        ...

    def index(self, table: FeatureTable, wanted: TableIndexes) -> None:
        """Order, primary key, GiST on `geom`, B-trees (descending on temporal columns), ANALYZE. Repeatable.

        Raises DuplicateKey, and InvalidRequest for a column that cannot be indexed.
        """
        ...

    def build_tile_view(self, table: FeatureTable, max_vertices: int) -> None:
        """The table's rows in pieces of at most so many vertices, under `staging_view` of its name. Repeatable."""
        ...

    def require_key(self, table: FeatureTable, key: Sequence[str]) -> None:
        """Raise DuplicateKey when the columns are null in a row, or together the same in two."""
        ...

    def facts(self, table: FeatureTable, temporal: str | None = None) -> TableFacts:
        """Exact row count, extent and geometry types. Raises NoFeatures for an empty table."""
        ...

    def merged_facts(
        self, table: FeatureTable, live: LiveTable, key: Sequence[str], temporal: str | None = None
    ) -> TableFacts:
        """The facts of `live` once the rows of `table` have joined it, replacing those of the same key."""
        ...

    def values(self, table: FeatureTable, column: str, limit: int, classes: int) -> ColumnValues:
        """What a column holds, for a style. Texts and truth values have no quantiles."""
        ...

    def exists(self, schema: str, name: str) -> bool:
        """True when a table, view or other relation of that name is there."""
        ...

    def live(self, schema: str, name: str) -> LiveTable | None:
        """The table of that name; None when there is none."""
        ...

    def tracking(self, name: str) -> VectorEtlTracking | None:
        """The run that wrote the table's rows last."""
        ...

    def held(self, schema: str, name: str) -> HeldTable:
        """What there is of a table, in the database, the catalogue and STAC."""
        ...

    def item_holder(self, collection_id: str, item_id: str, name: str) -> str | None:
        """What else than the table of that name is the item, such as `table geo.wells`; None when nothing is."""
        ...

    def asked_for(self, requested: str) -> list[str]:
        """The tables with rows of a run that was asked for a table of that name."""
        ...

    def without_item(self, schema: str) -> list[str]:
        """Tables with a geometry that have no STAC item, finished ones only."""
        ...

    def drop_leftovers(self, schema: str, job_id: str) -> None:
        """Drop the job's unfinished tables, with their tile views, skipping what is in use."""
        ...
