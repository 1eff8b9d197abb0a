"""PostGIS feature tables as the vector pipeline sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class SqlType(StrEnum):
    """Every type an attribute column may have; each is fed by exactly one Arrow type."""

    BOOLEAN = "boolean"  #: bool
    SMALLINT = "smallint"  #: int16
    INTEGER = "integer"  #: int32
    BIGINT = "bigint"  #: int64
    REAL = "real"  #: float32
    DOUBLE = "double precision"  #: float64
    NUMERIC = "numeric"  #: decimal128
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


def staging_name(table: str, job_id: str, attempt: int) -> str:
    """The name of an unfinished table: at most 63 bytes, another one for every attempt."""
    suffix = f"{STAGING_MARK}{job_id[:8]}_{attempt}"
    return table[: 63 - len(suffix)] + suffix


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
class TableFacts:
    """What a loaded table holds. `bbox` is (min x, min y, max x, max y) in the table's CRS."""

    row_count: int
    bbox: tuple[float, float, float, float]
    geometry_types: tuple[str, ...]
    temporal: tuple[str, str] | None  #: first and last moment of the temporal column, ISO 8601 in UTC


class FeatureTables(Protocol):
    """Builds feature tables beside the published ones. Each call is a transaction of its own."""

    def create(self, table: FeatureTable) -> None:
        """Create the table empty and without indexes, dropping what an earlier attempt left under the name."""
        ...

    def copy(self, table: FeatureTable, batches: Iterable[pa.RecordBatch]) -> int:
        """Binary COPY of Arrow batches: `id`, the columns in their order, `geom` as WKB. All rows or none; how many."""
        ...

    def index(self, table: FeatureTable, *, spatial: bool, attributes: Sequence[str], temporal: Sequence[str]) -> None:
        """Primary key `id`, GiST on `geom`, B-tree on attributes (descending on temporal ones), ANALYZE. Repeatable."""
        ...

    def facts(self, table: FeatureTable, temporal: str | None = None) -> TableFacts:
        """Exact row count, extent and geometry types. Raises NoFeatures for an empty table."""
        ...

    def exists(self, schema: str, name: str) -> bool:
        """True when a table, view or other relation of that name is there."""
        ...

    def drop(self, schema: str, name: str) -> None:
        """Drop the table if it is there."""
        ...

    def drop_leftovers(self, schema: str, job_id: str, keep: str) -> list[str]:
        """Drop the job's staging tables but `keep`, skipping what is in use; the names dropped."""
        ...
