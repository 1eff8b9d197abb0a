"""What is in the database: schemas, tables, columns, indexes, some rows, and our own types and functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql
from pydantic import JsonValue

from core.errors import Forbidden, InvalidRequest, NotFound
from core.schema.table import SCHEMAS
from infrastructure.administration.reading import reading, rows
from infrastructure.postgres.pool import Connection, Pool
from infrastructure.postgres.queries import Queries

_SQL = Queries("admin_tables")
_NAME = re.compile(r"(?P<schema>[^.\0]{1,63})\.(?P<table>[^\0]{1,63})")
_DATA = ("geo", "h3", "pgstac")  #: schemas whose rows are data; rows of `app` have routes that know who may see them


@dataclass(frozen=True)
class SchemaSize:
    """A schema. `rows` are the planner's estimate."""

    schema: str
    tables: int
    rows: int
    total_bytes: int


@dataclass(frozen=True)
class TableState:
    """A table. `rows` are the planner's estimate; live and dead rows are what vacuum counts by."""

    table: str
    kind: str
    rows: int
    table_bytes: int
    index_bytes: int
    live_rows: int
    dead_rows: int
    sequential_scans: int
    index_scans: int
    last_vacuum: datetime | None
    last_analyze: datetime | None


@dataclass(frozen=True)
class ColumnState:
    """A column, its type as PostgreSQL prints it."""

    name: str
    type: str
    nullable: bool
    default: str | None


@dataclass(frozen=True)
class IndexState:
    """An index. `scans` counts since statistics began."""

    name: str
    definition: str
    unique: bool
    valid: bool
    bytes: int
    scans: int


@dataclass(frozen=True)
class EnumType:
    """An enum and its labels in order."""

    name: str
    labels: Sequence[str]


@dataclass(frozen=True)
class Routine:
    """A function; `name` has the types of its arguments."""

    name: str
    returns: str | None


@dataclass(frozen=True)
class Privilege:
    """What this process's role may do with a schema."""

    schema: str
    role: str
    may_use: bool
    may_create: bool
    owns: bool


@dataclass(frozen=True)
class TableName:
    """A table by schema and name."""

    schema: str
    table: str

    @staticmethod
    def parse(text: str) -> TableName:
        """From `schema.table`. Raises InvalidRequest."""
        if (match := _NAME.fullmatch(text)) is None:
            raise InvalidRequest(f"table: {text[:100]!r} is not a table.", hint="Write schema.table, as geo.rivers.")
        return TableName(match["schema"], match["table"])

    @property
    def values(self) -> dict[str, str | None]:
        """For the queries."""
        return {"schema": self.schema, "table": self.table}


class DatabaseTables:
    """Looks over a pool; changes nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def schemas(self) -> list[SchemaSize]:
        """Every schema but the server's own."""
        with reading(self._pool) as conn:
            return rows(conn, SchemaSize, _SQL["schemas"])

    def tables(self, schema: str) -> list[TableState]:
        """The tables of a schema, the largest first. Raises NotFound."""
        with reading(self._pool) as conn:
            found = rows(conn, TableState, _SQL["tables"], {"schema": schema, "table": None})
            if not found and schema not in {each.schema for each in rows(conn, SchemaSize, _SQL["schemas"])}:
                raise NotFound(f"There is no schema {schema!r}.", hint="GET /api/dbadmin/schemas lists them.")
            return found

    def table(self, name: TableName) -> TableState:
        """One table. Raises NotFound."""
        with reading(self._pool) as conn:
            return _require(conn, name)

    def columns(self, name: TableName) -> list[ColumnState]:
        """Its columns in order. Raises NotFound."""
        with reading(self._pool) as conn:
            _require(conn, name)
            return rows(conn, ColumnState, _SQL["columns"], name.values)

    def indexes(self, name: TableName) -> list[IndexState]:
        """Its indexes. Raises NotFound."""
        with reading(self._pool) as conn:
            _require(conn, name)
            return rows(conn, IndexState, _SQL["indexes"], name.values)

    def sample(self, name: TableName, limit: int, offset: int, order_by: str | None) -> list[dict[str, JsonValue]]:
        """Some rows, geometries left out. Raises NotFound, Forbidden, and InvalidRequest for an unknown column."""
        if name.schema not in _DATA:
            raise Forbidden(f"Rows of {name.schema}.{name.table} are not shown here.", hint="See its own routes.")
        with reading(self._pool) as conn:
            _require(conn, name)
            columns = rows(conn, ColumnState, _SQL["columns"], name.values)
            statement = _sample(name, columns, order_by)
            found = conn.execute(statement, {"limit": limit, "offset": offset}).fetchall()
        return [row[0] for row in found]

    def enums(self) -> list[EnumType]:
        """Our enums."""
        with reading(self._pool) as conn:
            return rows(conn, EnumType, _SQL["enums"], {"schemas": list(SCHEMAS)})

    def functions(self) -> list[Routine]:
        """Our functions."""
        with reading(self._pool) as conn:
            return rows(conn, Routine, _SQL["functions"], {"schemas": list(SCHEMAS)})

    def privileges(self) -> list[Privilege]:
        """What this process's role may do."""
        with reading(self._pool) as conn:
            return rows(conn, Privilege, _SQL["privileges"])


def _require(conn: Connection, name: TableName) -> TableState:
    found = rows(conn, TableState, _SQL["tables"], name.values)
    if not found:
        raise NotFound(
            f"There is no table {name.schema}.{name.table}.",
            hint=f"GET /api/dbadmin/schemas/{name.schema}/tables lists what there is.",
        )
    return found[0]


def _sample(name: TableName, columns: Sequence[ColumnState], order_by: str | None) -> sql.Composed:
    shown = [column.name for column in columns if not column.type.startswith(("geometry", "geography"))]
    if order_by is not None and order_by not in shown:
        raise InvalidRequest(f"order_by: {order_by[:63]!r} is no column.", hint=f"There are {', '.join(shown)}.")
    ordered = sql.SQL(_SQL["ordered"]).format(column=sql.Identifier(order_by)) if order_by else sql.SQL("")
    return sql.SQL(_SQL["sample"]).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, shown)),
        table=sql.Identifier(name.schema, name.table),
        ordered=ordered,
    )
