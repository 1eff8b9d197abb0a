"""Feature tables in PostGIS: loaded beside the published ones, then renamed into their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import JsonValue

from core.contracts.tables import (
    STAGING_MARK,
    ColumnValues,
    FeatureTable,
    HeldTable,
    LiveTable,
    TableFacts,
    TableIndexes,
    Told,
    staging_view,
)
from core.errors import Conflict, InvalidRequest, TargetChanged, UnsupportedFormat
from core.models.catalog import VectorEtlTracking
from infrastructure.postgres import feature_reads
from infrastructure.postgres.feature_types import column_definitions, geometry_type
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

if TYPE_CHECKING:
    import pyarrow as pa

_Q = Queries("feature_tables")
_COMMON = Queries("feature_common")


class PostgresFeatureTables:
    """The `FeatureTables` port over a connection pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def create(self, table: FeatureTable) -> None:
        """Create the table empty and without indexes, dropping what an earlier attempt left under the name."""
        with transaction(self._pool) as conn:
            _drop(conn, table.schema, table.name)
            conn.execute(
                sql.SQL(_Q["create"]).format(
                    table=sql.Identifier(table.schema, table.name),
                    columns=column_definitions(table),
                    geometry_type=sql.SQL(geometry_type(table)),
                    srid=sql.Literal(table.srid),
                )
            )

    def loaded(self, staging: str, part: int) -> Mapping[str, JsonValue] | None:
        """What was told when the part was loaded; None when it was not."""
        with connection(self._pool) as conn:
            return _loaded(conn, staging, part)

    def load(
        self, streams: Sequence[tuple[FeatureTable, Iterable[pa.RecordBatch]]], part: int, told: Told
    ) -> Mapping[str, JsonValue]:
        """Binary COPY of Arrow batches into each table in turn, and `told` with them; once for every part."""
        staging = streams[0][0].name
        try:
            with transaction(self._pool) as conn:
                known = _loaded(conn, staging, part)
                if known is not None:
                    return known
                output = told([_copy(conn, table, batches) for table, batches in streams])
                conn.execute(_Q["save_load"], {"staging": staging, "part": part, "output": Jsonb(dict(output))})
                return output
        except psycopg.errors.UniqueViolation as e:
            raise TargetChanged(f"Another attempt has loaded part {part} of {staging} meanwhile.") from e
        except psycopg.errors.ProgramLimitExceeded as e:
            columns = len(streams[0][0].columns)
            raise UnsupportedFormat(
                f"A feature does not fit into a row of {columns:,} columns: {str(e).splitlines()[0]}.",
                hint="Split the file, or turn groups of columns into rows.",
            ) from e
        except psycopg.errors.UndefinedTable as e:
            raise Conflict(
                f"The unfinished table {staging} was tidied away before it was loaded.", hint="Resubmit the job."
            ) from e

    def index(self, table: FeatureTable, wanted: TableIndexes) -> None:
        """Order, keys and indexes in one transaction, then ANALYZE. A repetition only analyses."""
        name = sql.Identifier(table.schema, table.name)
        with transaction(self._pool) as conn, _index_errors(table):
            done = conn.execute(_Q["has_primary_key"], {"table": name.as_string(conn)}).fetchone()
            if done != (True,):
                _build(conn, table, wanted)
            conn.execute(sql.SQL(_COMMON["analyze"]).format(table=name))

    def build_tile_view(self, table: FeatureTable, max_vertices: int) -> None:
        """The table's rows in pieces of at most so many vertices, indexed."""
        view = sql.Identifier(table.schema, staging_view(table.name))
        with transaction(self._pool) as conn:
            conn.execute(sql.SQL(_COMMON["drop_view"]).format(view=view))
            conn.execute(_Q["index_memory"])
            conn.execute(
                sql.SQL(_Q["create_tile_view"]).format(
                    view=view,
                    table=sql.Identifier(table.schema, table.name),
                    columns=sql.SQL(", ").join(sql.Identifier(n) for n in ("id", *(c.name for c in table.columns))),
                    vertices=sql.Literal(max_vertices),
                    srid=sql.Literal(table.srid),
                )
            )
            conn.execute(sql.SQL(_Q["index_geometry"]).format(table=view))
            conn.execute(sql.SQL(_COMMON["analyze"]).format(table=view))

    def require_key(self, table: FeatureTable, key: Sequence[str]) -> None:
        """Raise DuplicateKey when the columns are null in a row, or together the same in two."""
        with connection(self._pool) as conn:
            feature_reads.require_key(conn, table, key)

    def facts(self, table: FeatureTable, temporal: str | None = None) -> TableFacts:
        """Exact row count, extent and geometry types. Raises NoFeatures for an empty table."""
        with transaction(self._pool) as conn:
            return feature_reads.facts(conn, table, temporal)

    def merged_facts(
        self, table: FeatureTable, live: LiveTable, key: Sequence[str], temporal: str | None = None
    ) -> TableFacts:
        """The facts of `live` once the rows of `table` have joined it."""
        with transaction(self._pool) as conn:
            return feature_reads.merged_facts(conn, table, live, key, temporal)

    def values(self, table: FeatureTable, column: str, limit: int, classes: int) -> ColumnValues:
        """What a column holds, for a style."""
        with connection(self._pool) as conn:
            return feature_reads.values(conn, table, column, limit, classes)

    def exists(self, schema: str, name: str) -> bool:
        """True when a table, view or other relation of that name is there."""
        with connection(self._pool) as conn:
            return conn.execute(_COMMON["relation_kind"], {"schema": schema, "name": name}).fetchone() is not None

    def live(self, schema: str, name: str) -> LiveTable | None:
        """The table of that name; None when there is none."""
        with transaction(self._pool) as conn:
            return feature_reads.live(conn, schema, name)

    def tracking(self, name: str) -> VectorEtlTracking | None:
        """The run that wrote the table's rows last."""
        with connection(self._pool) as conn:
            return feature_reads.tracking(conn, name)

    def held(self, schema: str, name: str) -> HeldTable:
        """What there is of a table, in the database, the catalogue and STAC."""
        with connection(self._pool) as conn:
            return feature_reads.held(conn, schema, name)

    def item_holder(self, collection_id: str, item_id: str, name: str) -> str | None:
        """What else than the table of that name is the item, such as `table geo.wells`; None when nothing is."""
        with connection(self._pool) as conn:
            return feature_reads.item_holder(conn, collection_id, item_id, name)

    def asked_for(self, requested: str) -> list[str]:
        """The tables with rows of a run that was asked for a table of that name."""
        with connection(self._pool) as conn:
            return [name for (name,) in conn.execute(_Q["asked_for"], {"requested": requested})]

    def without_item(self, schema: str) -> list[str]:
        """Tables with a geometry that have no STAC item, finished ones only."""
        with connection(self._pool) as conn:
            values = {"schema": schema, "mark": STAGING_MARK}
            return [name for (name,) in conn.execute(_Q["without_item"], values)]

    def drop_leftovers(self, schema: str, job_id: str) -> None:
        """Drop the job's unfinished tables, skipping what is in use."""
        pattern = f"%{STAGING_MARK}{job_id[:8]}_%".replace("_", r"\_")
        with connection(self._pool) as conn:
            for (name,) in conn.execute(_Q["leftovers"], {"schema": schema, "pattern": pattern}).fetchall():
                _drop_if_free(conn, schema, name)

    def drop_abandoned(self) -> int:
        """Drop the unfinished tables of jobs that have ended, skipping what is in use; how many."""
        with connection(self._pool) as conn:
            found = conn.execute(_Q["abandoned"]).fetchall()
            dropped = sum(_drop_if_free(conn, schema, name) for schema, name in found)
            conn.execute(_Q["forget_loads"])
            return dropped


def _loaded(conn: Connection, staging: str, part: int) -> Mapping[str, JsonValue] | None:
    row = conn.execute(_Q["loaded"], {"staging": staging, "part": part}).fetchone()
    return row[0] if row else None


def _copy(conn: Connection, table: FeatureTable, batches: Iterable[pa.RecordBatch]) -> int:
    # Arrow stays out of processes that only serve: this module is imported by the function app.
    from infrastructure.postgres.arrow_copy import encoded

    statement = sql.SQL(_Q["copy"]).format(
        table=sql.Identifier(table.schema, table.name),
        columns=sql.SQL(", ").join(sql.Identifier(n) for n in ("id", *(c.name for c in table.columns), "geom")),
    )
    rows = 0
    with conn.cursor() as cursor, cursor.copy(statement) as stream:
        for piece, count in encoded(table, batches):
            stream.write(piece)
            rows += count
    return rows


def _build(conn: Connection, table: FeatureTable, wanted: TableIndexes) -> None:
    name, key = sql.Identifier(table.schema, table.name), sql.Identifier(wanted.primary_key)
    if wanted.primary_key != "id":
        feature_reads.require_key(conn, table, [wanted.primary_key])
    conn.execute(_Q["index_memory"])
    if wanted.cluster:
        sorted_name = sql.Identifier(table.schema, staging_view(table.name))
        for block in ("create_sorted", "fill_sorted", "drop_unsorted", "rename_sorted"):
            statement = sql.SQL(_Q[block])
            conn.execute(statement.format(table=name, sorted=sorted_name, name=sql.Identifier(table.name)))
    conn.execute(sql.SQL(_Q["add_primary_key"]).format(table=name, column=key))
    if wanted.spatial:
        conn.execute(sql.SQL(_Q["index_geometry"]).format(table=name))
    for block, columns in (("index_attribute", wanted.attributes), ("index_temporal", wanted.temporal)):
        for column in columns:
            conn.execute(sql.SQL(_Q[block]).format(table=name, column=sql.Identifier(column)))


def _drop(conn: Connection, schema: str, name: str) -> None:
    conn.execute(sql.SQL(_COMMON["drop_view"]).format(view=sql.Identifier(schema, staging_view(name))))
    conn.execute(sql.SQL(_COMMON["drop"]).format(table=sql.Identifier(schema, name)))
    conn.execute(_COMMON["forget_load"], {"staging": name})


def _drop_if_free(conn: Connection, schema: str, name: str) -> bool:
    # An attempt that lost its lease may still be copying into the table; waiting for it would hold up the new one.
    try:
        with conn.transaction():
            conn.execute(_Q["impatient"])
            _drop(conn, schema, name)
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
