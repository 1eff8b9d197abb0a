"""Feature tables in PostGIS: loaded beside the published ones, then renamed into their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from core.contracts.effects import SwapFeatureTable
from core.contracts.tables import STAGING_MARK, FeatureTable, SqlType, TableFacts
from core.errors import Conflict, ContractViolation, InvalidRequest, NoFeatures, TargetExists
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

if TYPE_CHECKING:
    import pyarrow as pa

_Q = Queries("feature_tables")

_SQL_TYPES: Mapping[SqlType, LiteralString] = {
    SqlType.BOOLEAN: "boolean",
    SqlType.SMALLINT: "smallint",
    SqlType.INTEGER: "integer",
    SqlType.BIGINT: "bigint",
    SqlType.REAL: "real",
    SqlType.DOUBLE: "double precision",
    SqlType.NUMERIC: "numeric",
    SqlType.TEXT: "text",
    SqlType.BYTEA: "bytea",
    SqlType.DATE: "date",
    SqlType.TIME: "time",
    SqlType.TIMESTAMP: "timestamp",
    SqlType.TIMESTAMPTZ: "timestamptz",
    SqlType.INTERVAL: "interval",
    SqlType.JSONB: "jsonb",
    SqlType.BOOLEAN_LIST: "boolean[]",
    SqlType.INTEGER_LIST: "integer[]",
    SqlType.BIGINT_LIST: "bigint[]",
    SqlType.DOUBLE_LIST: "double precision[]",
    SqlType.TEXT_LIST: "text[]",
}

_FAMILIES: tuple[LiteralString, ...] = (
    "Geometry",
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)
_GEOMETRY_TYPES: Mapping[str, LiteralString] = {f + z: f + z for f in _FAMILIES for z in ("", "Z")}


class PostgresFeatureTables:
    """The `FeatureTables` port over a connection pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def create(self, table: FeatureTable) -> None:
        """Create the table empty and without indexes, dropping what an earlier attempt left under the name."""
        name = sql.Identifier(table.schema, table.name)
        with transaction(self._pool) as conn:
            conn.execute(sql.SQL(_Q["drop"]).format(table=name))
            conn.execute(
                sql.SQL(_Q["create"]).format(
                    table=name,
                    columns=_column_definitions(table),
                    geometry_type=sql.SQL(_geometry_type(table)),
                    srid=sql.Literal(table.srid),
                )
            )

    def copy(self, table: FeatureTable, batches: Iterable[pa.RecordBatch]) -> int:
        """Binary COPY of Arrow batches; all rows or none; how many."""
        # Arrow stays out of processes that only serve: this module is imported by the function app.
        from infrastructure.postgres.arrow_copy import encoded

        statement = sql.SQL(_Q["copy"]).format(
            table=sql.Identifier(table.schema, table.name),
            columns=sql.SQL(", ").join(sql.Identifier(n) for n in ("id", *(c.name for c in table.columns), "geom")),
        )
        rows = 0
        with transaction(self._pool) as conn, conn.cursor() as cursor, cursor.copy(statement) as stream:
            for piece, count in encoded(table, batches):
                stream.write(piece)
                rows += count
        return rows

    def index(self, table: FeatureTable, *, spatial: bool, attributes: Sequence[str], temporal: Sequence[str]) -> None:
        """Primary key, GiST and B-tree indexes in one transaction, then ANALYZE. A repetition only analyses."""
        name = sql.Identifier(table.schema, table.name)
        with transaction(self._pool) as conn, _index_errors(table):
            done = conn.execute(_Q["has_primary_key"], {"table": name.as_string(conn)}).fetchone()
            if done != (True,):
                conn.execute(_Q["index_memory"])
                conn.execute(sql.SQL(_Q["add_primary_key"]).format(table=name))
                if spatial:
                    conn.execute(sql.SQL(_Q["index_geometry"]).format(table=name))
                for block, columns in (("index_attribute", attributes), ("index_temporal", temporal)):
                    for column in columns:
                        conn.execute(sql.SQL(_Q[block]).format(table=name, column=sql.Identifier(column)))
            conn.execute(sql.SQL(_Q["analyze"]).format(table=name))

    def facts(self, table: FeatureTable, temporal: str | None = None) -> TableFacts:
        """Exact row count, extent and geometry types. Raises NoFeatures for an empty table."""
        name = sql.Identifier(table.schema, table.name)
        with transaction(self._pool) as conn:
            row = conn.execute(sql.SQL(_Q["facts"]).format(table=name)).fetchone()
            if row is None or not row[0]:
                raise NoFeatures(f"Table {table.schema}.{table.name} holds no feature.")
            first_last = None
            if temporal is not None:
                conn.execute(_Q["utc"])
                query = sql.SQL(_Q["temporal_extent"]).format(table=name, column=sql.Identifier(temporal))
                first_last = conn.execute(query).fetchone()
        count, minx, miny, maxx, maxy, types = row
        return TableFacts(
            row_count=count,
            bbox=(minx, miny, maxx, maxy),
            geometry_types=tuple(t.removeprefix("ST_") for t in types),
            temporal=None if first_last is None or first_last[0] is None else (first_last[0], first_last[1]),
        )

    def exists(self, schema: str, name: str) -> bool:
        """True when a table, view or other relation of that name is there."""
        with connection(self._pool) as conn:
            return conn.execute(_Q["relation_kind"], {"schema": schema, "name": name}).fetchone() is not None

    def drop(self, schema: str, name: str) -> None:
        """Drop the table if it is there."""
        with connection(self._pool) as conn:
            conn.execute(sql.SQL(_Q["drop"]).format(table=sql.Identifier(schema, name)))

    def drop_leftovers(self, schema: str, job_id: str, keep: str) -> list[str]:
        """Drop the job's staging tables but `keep`, skipping what is in use; the names dropped."""
        pattern = f"%{STAGING_MARK}{job_id[:8]}_%".replace("_", r"\_")
        with connection(self._pool) as conn:
            found = conn.execute(_Q["leftovers"], {"schema": schema, "pattern": pattern, "keep": keep}).fetchall()
            return [name for (name,) in found if _drop_if_free(conn, schema, name)]

    def drop_abandoned(self) -> int:
        """Drop the staging tables of jobs that have ended, skipping what is in use; how many."""
        with connection(self._pool) as conn:
            found = conn.execute(_Q["abandoned"]).fetchall()
            return sum(_drop_if_free(conn, schema, name) for schema, name in found)


def apply_swap(conn: Connection, effect: SwapFeatureTable) -> None:
    """Rename the staging table to its published name and write its catalogue rows, in the caller's transaction.

    Raises TargetExists when a table is there that the effect may not replace, Conflict when it cannot be dropped.
    """
    staging, live = sql.Identifier(effect.schema, effect.staging), sql.Identifier(effect.schema, effect.table)
    names = {"schema": effect.schema, "table": effect.table, "name": effect.table}
    conn.execute(_Q["serialize_swap"], names)
    kind = conn.execute(_Q["relation_kind"], names).fetchone()
    if kind is not None:
        _require_replaceable(effect, kind[0])
        try:
            conn.execute(sql.SQL(_Q["drop"]).format(table=live))
        except psycopg.errors.DependentObjectsStillExist as e:
            raise Conflict(
                f"Table {effect.schema}.{effect.table} cannot be replaced: {str(e).splitlines()[0]}.",
                hint="Drop the views that use it, or publish under another table name.",
            ) from e
    try:
        conn.execute(sql.SQL(_Q["rename_table"]).format(table=staging, name=sql.Identifier(effect.table)))
    except psycopg.errors.UndefinedTable as e:
        raise ContractViolation(f"Staging table {effect.schema}.{effect.staging} is gone.") from e
    _tidy_index_names(conn, effect.schema, effect.table)
    conn.execute(_Q["upsert_catalog"], _row(effect.catalog))
    tracking = _row(effect.tracking)
    conn.execute(_Q["supersede_tracking"], tracking)
    conn.execute(_Q["upsert_tracking"], tracking)


def _require_replaceable(effect: SwapFeatureTable, kind: str) -> None:
    where = f"{effect.schema}.{effect.table}"
    if kind != "r":
        raise Conflict(f"{where} is not an ordinary table, so it is not replaced.", hint="Choose another table name.")
    if not effect.overwrite:
        raise TargetExists(f"Table {where} exists already.", hint="Send overwrite=true or another table name.")


def _tidy_index_names(conn: Connection, schema: str, table: str) -> None:
    found = conn.execute(_Q["indexes"], {"table": sql.Identifier(schema, table).as_string(conn)}).fetchall()
    for current, primary, column in found:
        wanted = _cut(table, "_pkey" if primary else f"_{column}_idx")
        number = 0
        while conn.execute(_Q["name_taken"], {"schema": schema, "name": wanted}).fetchone() == (True,):
            number += 1
            wanted = _cut(table, f"_{number}_pkey" if primary else f"_{column}_idx{number}")
        conn.execute(
            sql.SQL(_Q["rename_index"]).format(index=sql.Identifier(schema, current), name=sql.Identifier(wanted))
        )


def _cut(table: str, suffix: str) -> str:
    """A name of at most 63 bytes that keeps its end."""
    suffix = suffix.encode()[-50:].decode(errors="ignore")
    return table.encode()[: 63 - len(suffix.encode())].decode(errors="ignore") + suffix


def _row(record: BaseModel) -> dict[str, object]:
    return {k: Jsonb(v) if isinstance(v, dict | list) else v for k, v in record.model_dump().items()}


def _column_definitions(table: FeatureTable) -> sql.Composed:
    parts: list[sql.Composable] = [sql.SQL("id bigint not null")]
    for column in table.columns:
        sql_type = sql.SQL(_SQL_TYPES[column.sql_type])
        parts.append(sql.SQL("{name} {type}").format(name=sql.Identifier(column.name), type=sql_type))
    return sql.SQL(", ").join(parts)


def _geometry_type(table: FeatureTable) -> LiteralString:
    found = _GEOMETRY_TYPES.get(table.geometry_type)
    if found is None:
        raise ContractViolation(f"{table.geometry_type!r} is not a geometry type of PostGIS that is built here.")
    return found


def _drop_if_free(conn: Connection, schema: str, name: str) -> bool:
    # An attempt that lost its lease may still be copying into the table; waiting for it would hold up the new one.
    try:
        with conn.transaction():
            conn.execute(_Q["impatient"])
            conn.execute(sql.SQL(_Q["drop"]).format(table=sql.Identifier(schema, name)))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


@contextmanager
def _index_errors(table: FeatureTable) -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.ProgramLimitExceeded, psycopg.errors.UndefinedObject) as e:
        raise InvalidRequest(
            f"An index of table {table.schema}.{table.name} cannot be built: {str(e).splitlines()[0]}.",
            hint="Leave that column out of indexes.attributes.",
        ) from e
