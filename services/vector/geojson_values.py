"""Which type does a property have, by GDAL's rules as far as they are plain, and its values as Arrow has them?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from core.contracts.tables import SqlType
from services.vector.geojson_blocks import NotPlain

Values = Sequence[JsonValue]

_INT32 = 2**31
_EXACT = 2**53
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?"
#: What GDAL may take for a date or time, in some spelling.
_LIKE_A_DATE = r"^\s*([+-]?\d+[-/]0*([1-9]|1[0-2])[-/]0*([1-9]|[12]\d|3[01])(\D|$)|\d+:)"


class Kind(Enum):
    """A property's type."""

    NOTHING = "nothing"  #: only nulls so far
    BOOL = SqlType.BOOLEAN
    INT32 = SqlType.INTEGER
    INT64 = SqlType.BIGINT
    DOUBLE = SqlType.DOUBLE
    TEXT = SqlType.TEXT
    DATE = SqlType.DATE
    MOMENT = SqlType.TIMESTAMP
    MOMENT_UTC = SqlType.TIMESTAMPTZ
    ODD = "odd"  #: texts that may be dates in another spelling, unless a plain text comes
    TEXTS = SqlType.TEXT_LIST
    INT32S = SqlType.INTEGER_LIST
    INT64S = SqlType.BIGINT_LIST
    DOUBLES = SqlType.DOUBLE_LIST
    JSON = SqlType.JSONB


ARROW: Mapping[Kind, pa.DataType] = {
    Kind.NOTHING: pa.string(),
    Kind.BOOL: pa.bool_(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.MOMENT: pa.timestamp("ms"),
    Kind.MOMENT_UTC: pa.timestamp("ms", tz="UTC"),
    Kind.TEXTS: pa.list_(pa.string()),
    Kind.INT32S: pa.list_(pa.int32()),
    Kind.INT64S: pa.list_(pa.int64()),
    Kind.DOUBLES: pa.list_(pa.float64()),
    Kind.JSON: pa.json_(pa.string()),
}
_DATES = {Kind.DATE, Kind.MOMENT, Kind.MOMENT_UTC, Kind.ODD}
_WIDER: Mapping[frozenset[Kind], Kind] = {
    frozenset({Kind.INT32, Kind.INT64}): Kind.INT64,
    frozenset({Kind.INT32, Kind.DOUBLE}): Kind.DOUBLE,
    frozenset({Kind.INT32S, Kind.INT64S}): Kind.INT64S,
}


def merged(first: Kind, second: Kind) -> Kind:
    """The type that holds both. Raises NotPlain where GDAL's own rule is needed."""
    if first is second or second is Kind.NOTHING:
        return first
    if first is Kind.NOTHING:
        return second
    both = frozenset({first, second})
    if Kind.TEXT in both and both & _DATES:
        return Kind.TEXT
    found = _WIDER.get(both)
    if found is None:
        raise NotPlain(f"a property is {first.value} here and {second.value} there")
    return found


def widened(known: Kind, values: Values) -> Kind:
    """The type that holds some more values too. Raises NotPlain."""
    types = set(map(type, values)) - {type(None)}
    if types == {str} and known is Kind.TEXT:
        return known  # whatever the texts look like
    return merged(known, _kind_of(types, values))


def _kind_of(types: set[type], values: Values) -> Kind:
    if not types:
        return Kind.NOTHING
    if types == {str}:
        return _text_kind(pa.array(values, pa.string()))
    if types == {bool}:
        return Kind.BOOL
    if types == {int}:
        return _integer_kind([v for v in values if isinstance(v, int)])
    if types == {float}:
        return Kind.DOUBLE
    if types == {int, float}:
        _integer_kind([v for v in values if isinstance(v, int)], _EXACT)
        return Kind.DOUBLE
    if types == {dict}:
        return Kind.JSON
    if types == {list}:
        return _list_kind([v for v in values if isinstance(v, list)])
    raise NotPlain("a property has values of unlike types")


def _integer_kind(values: Sequence[int], limit: int = 2**63) -> Kind:
    low, high = min(values), max(values)
    if low < -limit or high >= limit:
        raise NotPlain("a whole number is too large")
    return Kind.INT32 if low >= -_INT32 and high < _INT32 else Kind.INT64


def _list_kind(lists: Sequence[list[JsonValue]]) -> Kind:
    types = {type(v) for values in lists for v in values}
    if any(not values for values in lists) or len(types) != 1:
        raise NotPlain("a list is empty or mixes types")
    (element,) = types
    if element is str:
        return Kind.TEXTS
    if element is int:
        found = _integer_kind([v for values in lists for v in values if isinstance(v, int)])
        return Kind.INT32S if found is Kind.INT32 else Kind.INT64S
    if element is float:
        return Kind.DOUBLES
    raise NotPlain("a list holds neither texts nor numbers")


def _text_kind(texts: pa.Array) -> Kind:
    present = texts.drop_null()
    like = pc.match_substring_regex(present, _LIKE_A_DATE)
    if not pc.all(like).as_py():
        return Kind.TEXT
    for pattern, kind in ((_DATE, Kind.DATE), (_MOMENT + "$", Kind.MOMENT), (_MOMENT + "Z$", Kind.MOMENT_UTC)):
        if pc.all(pc.match_substring_regex(present, pattern)).as_py() and _fits(present, ARROW[kind]):
            return kind
    return Kind.ODD


def like_a_date(text: str) -> bool:
    """True when GDAL might take the text for a date or time."""
    return re.search(_LIKE_A_DATE, text) is not None


def _fits(texts: pa.Array, target: pa.DataType) -> bool:
    try:
        texts.cast(target)
    except pa.ArrowInvalid:
        return False
    return True


def array(values: Values, kind: Kind) -> pa.Array:
    """The values as Arrow has them, dates as texts: another block may hold plain texts."""
    if kind is Kind.JSON:
        texts = [None if v is None else json.dumps(v, ensure_ascii=False) for v in values]
        return pa.array(texts, pa.string())
    return pa.array(values, pa.string() if kind in _DATES else ARROW[kind])


def loaded(block: pa.RecordBatch, name: str, kind: Kind) -> pa.Array:
    """A property's values as the type that it has in the whole file."""
    if name not in block.schema.names:
        return pa.nulls(block.num_rows, ARROW[kind])
    values = block.column(name)
    return values if kind is Kind.JSON else values.cast(ARROW[kind])
