"""Which columns will the table have? Safe unique names, and a type for every Arrow type."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
from pydantic import JsonValue

from core.contracts.tables import SqlType
from core.contracts.vector import ColumnPlan
from core.errors import ColumnsMissing, UnsupportedFormat

MAX_COLUMNS = 1598
_MAX_BYTES = 63
_RESERVED = {"id", "geom", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
_UNSAFE = re.compile(r"[^\w]+|_{2,}")


def planned_columns(schema: pa.Schema, mapping: Mapping[str, str], shown: str) -> tuple[ColumnPlan, ...]:
    """A column per attribute, in the file's order. Raises ColumnsMissing when `mapping` names others."""
    if len(schema) > MAX_COLUMNS:
        raise UnsupportedFormat(
            f"{shown} has {len(schema):,} columns; a table holds at most {MAX_COLUMNS:,} beside id and geom.",
            hint="Split the file, or turn groups of columns into rows.",
        )
    unnamable = [name for name in schema.names if "\x00" in name]
    if unnamable:
        raise UnsupportedFormat(
            f"{shown} has a column {unnamable[0]!r}: PostgreSQL holds no NUL characters.", hint="Rename it in the file."
        )
    require_columns(mapping, schema.names, shown, "column_mapping")
    names = safe_names(schema.names, mapping)
    return tuple(
        ColumnPlan(name=name, sql_type=sql_type(field.type), source_name=field.name)
        for name, field in zip(names, schema, strict=True)
    )


def require_columns(wanted: Mapping[str, str] | Sequence[str], present: Sequence[str], shown: str, what: str) -> None:
    """Raise ColumnsMissing unless all wanted names are there."""
    missing = [n for n in wanted if n not in present]
    if missing:
        raise ColumnsMissing(
            f"{what} names {', '.join(missing[:10])}, but {shown} has the columns {_listed(present)}.",
            hint="Use a name exactly as the file has it.",
        )


def resolve(names: Sequence[str], columns: Sequence[ColumnPlan], shown: str, what: str) -> tuple[str, ...]:
    """Table names of columns that a request names as in the file or as in the table."""
    known = {c.source_name: c.name for c in reversed(columns)} | {c.name: c.name for c in columns}
    require_columns(names, list(known), shown, what)
    return tuple(dict.fromkeys(known[n] for n in names))


def definitions(columns: Iterable[tuple[str, str, str]]) -> dict[str, JsonValue]:
    """Columns by name, type and name in the source, as the catalogue has them: jsonb keeps no order of keys."""
    return {
        name: {"type": kind, "source_name": source, "position": position}
        for position, (name, kind, source) in enumerate(columns, 1)
    }


def safe_names(sources: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """Lower-case, distinct names of at most 63 bytes. Names that are safe already keep theirs."""
    wanted = [_safe(mapping.get(source, source), i) for i, source in enumerate(sources)]
    # First those whose name the request chose, then those that need no change: they must not lose it to a namesake.
    order = sorted(range(len(sources)), key=lambda i: (sources[i] not in mapping, wanted[i] != sources[i]))
    taken: set[str] = set()
    result = [""] * len(sources)
    for i in order:
        name, number = wanted[i], 1
        while name in taken:
            number += 1
            name = _cut(wanted[i], f"_{number}")
        taken.add(name)
        result[i] = name
    return result


def _safe(source: str, position: int) -> str:
    text = unicodedata.normalize("NFKC", source).lower()
    name = _UNSAFE.sub("_", text).strip("_")
    if not name:
        name = f"column_{position + 1}"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_src" if name in _RESERVED else _cut(name, "")


def _cut(name: str, suffix: str) -> str:
    return name.encode()[: _MAX_BYTES - len(suffix)].decode(errors="ignore") + suffix


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def sql_type(arrow: pa.DataType) -> SqlType:
    """The column type that holds every value of an Arrow type unchanged."""
    if isinstance(arrow, pa.JsonType):
        return SqlType.JSONB
    if isinstance(arrow, pa.BaseExtensionType):
        return sql_type(arrow.storage_type)
    if pa.types.is_dictionary(arrow):
        return sql_type(arrow.value_type)
    for matches, found in _SCALARS:
        if matches(arrow):
            return found
    if pa.types.is_timestamp(arrow):
        return SqlType.TIMESTAMP if arrow.tz is None else SqlType.TIMESTAMPTZ
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow):
        return _LISTS.get(sql_type(arrow.value_type), SqlType.JSONB)
    return SqlType.JSONB


_SCALARS = (
    (pa.types.is_boolean, SqlType.BOOLEAN),
    (lambda t: t in (pa.int8(), pa.int16(), pa.uint8()), SqlType.SMALLINT),
    (lambda t: t in (pa.int32(), pa.uint16()), SqlType.INTEGER),
    (lambda t: t in (pa.int64(), pa.uint32()), SqlType.BIGINT),
    (pa.types.is_uint64, SqlType.NUMERIC),
    (lambda t: t in (pa.float16(), pa.float32()), SqlType.REAL),
    (pa.types.is_float64, SqlType.DOUBLE),
    (pa.types.is_decimal, SqlType.NUMERIC),
    (lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t), SqlType.TEXT),
    (pa.types.is_null, SqlType.TEXT),
    (
        lambda t: (
            pa.types.is_binary(t)
            or pa.types.is_large_binary(t)
            or pa.types.is_binary_view(t)
            or pa.types.is_fixed_size_binary(t)
        ),
        SqlType.BYTEA,
    ),
    (pa.types.is_date, SqlType.DATE),
    (pa.types.is_time, SqlType.TIME),
    (pa.types.is_duration, SqlType.INTERVAL),
)

_LISTS = {
    SqlType.BOOLEAN: SqlType.BOOLEAN_LIST,
    SqlType.SMALLINT: SqlType.INTEGER_LIST,
    SqlType.INTEGER: SqlType.INTEGER_LIST,
    SqlType.BIGINT: SqlType.BIGINT_LIST,
    SqlType.REAL: SqlType.DOUBLE_LIST,
    SqlType.DOUBLE: SqlType.DOUBLE_LIST,
    SqlType.TEXT: SqlType.TEXT_LIST,
}
