"""What are column and geometry types called in PostgreSQL?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from psycopg import sql

from core.contracts.tables import FeatureTable, SqlType
from core.errors import ContractViolation

SQL_TYPES: Mapping[SqlType, LiteralString] = {
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
_GEOMETRY_TYPES: Mapping[str, LiteralString] = {f + z: f + z for f in _FAMILIES for z in ("", "Z", "M", "ZM")}

#: The long names that PostgreSQL answers with.
_LONG_NAMES: Mapping[str, str] = {
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}


def short_name(type_name: str) -> str:
    """The name that SqlType has for a type, where it has one."""
    return _LONG_NAMES.get(type_name, type_name)


def column_definitions(table: FeatureTable) -> sql.Composed:
    """The columns of CREATE TABLE but the geometry."""
    parts: list[sql.Composable] = [sql.SQL("id bigint not null")]
    for column in table.columns:
        sql_type = sql.SQL(SQL_TYPES[column.sql_type])
        parts.append(sql.SQL("{name} {type}").format(name=sql.Identifier(column.name), type=sql_type))
    return sql.SQL(", ").join(parts)


def geometry_type(table: FeatureTable) -> LiteralString:
    """The type of the geometry column. Raises ContractViolation for one that PostGIS does not have."""
    found = _GEOMETRY_TYPES.get(table.geometry_type)
    if found is None:
        raise ContractViolation(f"{table.geometry_type!r} is not a geometry type of PostGIS that is built here.")
    return found
