"""What is in a feature table, loaded or published? Every function runs inside the caller's transaction."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from core.contracts.tables import ColumnValues, FeatureTable, HeldTable, LiveTable, TableFacts
from core.errors import DuplicateKey, NoFeatures
from core.models.catalog import GeoTableCatalog, VectorEtlTracking
from infrastructure.postgres.feature_types import short_name
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_Q = Queries("feature_reads")
_GEOMETRY = re.compile(r"geometry\((\w+),(\d+)\)")
_SHOWN = 5
_SAMPLE = 20_000  #: rows that decide how a table looks


def facts(conn: Connection, table: FeatureTable, temporal: str | None) -> TableFacts:
    """Exact row count, extent and geometry types. Raises NoFeatures for an empty table."""
    return _facts(conn, table, sql.SQL(_Q["rows"]).format(table=_name(table)), temporal)


def merged_facts(
    conn: Connection, table: FeatureTable, live: LiveTable, key: Sequence[str], temporal: str | None
) -> TableFacts:
    """The facts of `live` once the rows of `table` have joined it, replacing those of the same key."""
    block: LiteralString = _Q["merged_rows"] if key else _Q["joined_rows"]
    columns = sql.SQL(", ").join(sql.Identifier(n) for n in ("geom", *([temporal] if temporal else [])))
    parts = {"live": sql.Identifier(live.schema, live.name), "staging": _name(table), "columns": columns}
    rows = sql.SQL(block).format(**parts, match=match(key)) if key else sql.SQL(block).format(**parts)
    return _facts(conn, table, rows, temporal)


def match(key: Sequence[str]) -> sql.Composed:
    """That row `l` of the published table and row `s` of the staging table have the same key."""
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier("l", name), sql.Identifier("s", name)) for name in key
    )


def _facts(conn: Connection, table: FeatureTable, rows: sql.Composed, temporal: str | None) -> TableFacts:
    row = conn.execute(sql.SQL(_Q["facts"]).format(rows=rows)).fetchone()
    if row is None or not row[0]:
        raise NoFeatures(f"Table {table.schema}.{table.name} holds no feature.")
    first_last = None
    if temporal is not None:
        conn.execute(_Q["utc"])
        query = sql.SQL(_Q["temporal_extent"]).format(rows=rows, column=sql.Identifier(temporal))
        first_last = conn.execute(query).fetchone()
    count, minx, miny, maxx, maxy = row
    return TableFacts(
        row_count=count,
        bbox=(minx, miny, maxx, maxy),
        geometry_types=_geometry_types(conn, table, rows),
        temporal=None if first_last is None or first_last[0] is None else (first_last[0], first_last[1]),
    )


def _geometry_types(conn: Connection, table: FeatureTable, rows: sql.Composed) -> tuple[str, ...]:
    declared = table.geometry_type.rstrip("ZM")
    if declared != "Geometry":
        return (declared,)  # a column of one type holds no other; looking at every row takes as long as the extent
    found = conn.execute(sql.SQL(_Q["geometry_types"]).format(rows=rows)).fetchall()
    return tuple(name.removeprefix("ST_") for (name,) in found)


def item_holder(conn: Connection, collection_id: str, item_id: str, name: str) -> str | None:
    """What else than the table of that name is the item; None when nothing is."""
    row = conn.execute(_Q["item_holder"], {"collection": collection_id, "item": item_id, "name": name}).fetchone()
    return row[0] if row else None


def require_key(conn: Connection, table: FeatureTable, key: Sequence[str]) -> None:
    """Raise DuplicateKey when the columns are null in a row, or together the same in two."""
    columns = sql.SQL(", ").join(map(sql.Identifier, key))
    empty = sql.SQL(" or ").join(sql.SQL("{} is null").format(sql.Identifier(name)) for name in key)
    where = {"table": _name(table), "columns": columns, "empty": empty}
    shown = ", ".join(key)
    nulls = conn.execute(sql.SQL(_Q["null_keys"]).format(**where), {"limit": _SHOWN}).fetchall()
    if nulls:
        ids = ", ".join(str(i) for (i,) in nulls)
        raise DuplicateKey(f"The key {shown} is empty in features {ids}.", hint="Fill it, or choose another key.")
    twice = conn.execute(sql.SQL(_Q["double_keys"]).format(**where), {"limit": _SHOWN}).fetchall()
    if twice:
        groups = "; ".join(", ".join(map(str, ids)) for (ids,) in twice)
        raise DuplicateKey(
            f"The key {shown} has the same value in features {groups}.", hint="Make it unique, or choose another key."
        )


def values(conn: Connection, table: FeatureTable, column: str, limit: int, classes: int) -> ColumnValues:
    """What a column holds: the most frequent values first, and for numbers the bounds between equal classes."""
    parts = {"table": _name(table), "column": sql.Identifier(column)}
    found = conn.execute(
        sql.SQL(_Q["frequent_values"]).format(**parts), {"limit": limit + 1, "sample": _SAMPLE}
    ).fetchall()
    distinct = [plain for (value,) in found if (plain := _plain(value)) is not None]
    quantiles: tuple[float, ...] = ()
    if len(distinct) > limit and all(isinstance(v, (int, float)) for v in distinct):
        fractions = [i / classes for i in range(classes + 1)]
        row = conn.execute(
            sql.SQL(_Q["quantiles"]).format(**parts), {"fractions": fractions, "sample": _SAMPLE}
        ).fetchone()
        quantiles = tuple(dict.fromkeys(float(v) for v in row[0])) if row and row[0] else ()
    return ColumnValues(column, len(distinct), tuple(distinct[:limit]), quantiles)


def _plain(value: object) -> str | int | float | bool | None:
    """The value as JSON has it; None for a number that JSON cannot write."""
    if isinstance(value, (Decimal, float)):
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) else float(value)
    return value if isinstance(value, (bool, int)) else str(value)


def live(conn: Connection, schema: str, name: str) -> LiveTable | None:
    """The table of that name with its catalogue row; None when there is none."""
    qualified = sql.Identifier(schema, name).as_string(conn)
    columns = {str(n): str(t) for n, t in conn.execute(_Q["columns"], {"table": qualified})}
    if not columns:
        return None
    key = conn.execute(_Q["primary_key"], {"table": qualified}).fetchone()
    geometry = _GEOMETRY.fullmatch(columns.get("geom", ""))
    return LiveTable(
        schema=schema,
        name=name,
        geometry_type=geometry[1] if geometry else None,
        srid=int(geometry[2]) if geometry else 0,
        columns={n: short_name(t) for n, t in columns.items() if n not in ("id", "geom")},
        primary_key=str(key[0]) if key else None,
        has_id=columns.get("id") == "bigint",
        catalog=catalog(conn, name),
    )


def catalog(conn: Connection, name: str) -> GeoTableCatalog | None:
    """A table's catalogue row."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_Q["catalog"], {"table_name": name}).fetchone()
    return GeoTableCatalog.model_validate(row) if row else None


def tracking(conn: Connection, name: str) -> VectorEtlTracking | None:
    """The run that wrote a table's rows last."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_Q["tracking"], {"table_name": name}).fetchone()
    return VectorEtlTracking.model_validate(row) if row else None


def held(conn: Connection, schema: str, name: str) -> HeldTable:
    """What there is of a table, in the database, the catalogue and STAC."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_Q["held"], {"schema": schema, "name": name}).fetchone()
    return HeldTable.model_validate(row)


def _name(table: FeatureTable) -> sql.Identifier:
    return sql.Identifier(table.schema, table.name)
