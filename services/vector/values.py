"""Attribute values, brought to exactly the Arrow type that their column is loaded as."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import JsonValue

from core.contracts.tables import SqlType
from core.contracts.vector_findings import FindingCode
from core.errors import UnsupportedFormat
from services.vector.findings import Findings

_SIMPLE: Mapping[SqlType, pa.DataType] = {
    SqlType.BOOLEAN: pa.bool_(),
    SqlType.SMALLINT: pa.int16(),
    SqlType.INTEGER: pa.int32(),
    SqlType.BIGINT: pa.int64(),
    SqlType.REAL: pa.float32(),
    SqlType.DOUBLE: pa.float64(),
    SqlType.BYTEA: pa.binary(),
    SqlType.BOOLEAN_LIST: pa.list_(pa.bool_()),
    SqlType.INTEGER_LIST: pa.list_(pa.int32()),
    SqlType.BIGINT_LIST: pa.list_(pa.int64()),
    SqlType.DOUBLE_LIST: pa.list_(pa.float64()),
}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_SECOND = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
_NUL = "\x00"


def converted(array: pa.Array, target: SqlType, ids: np.ndarray, findings: Findings) -> pa.Array:
    """The same values as `target` is loaded; what PostgreSQL cannot hold is counted. `ids` are the rows'."""
    array = _plain(array)
    try:
        match target:
            case SqlType.TEXT:
                return _text(array, ids, findings)
            case SqlType.TEXT_LIST:
                return _text_list(array, ids, findings)
            case SqlType.JSONB:
                return _json(array, ids, findings)
            case SqlType.DATE:
                days = array.cast(pa.date32())
                limits = _FIRST_SECOND // 86400, _LAST_SECOND // 86400
                return _within(days, pc.cast(days, pa.int32()), limits, ids, findings)
            case SqlType.TIME:
                return _microseconds(array, pa.time64("us"), ids, findings)
            case SqlType.TIMESTAMP | SqlType.TIMESTAMPTZ:
                return _timestamp(array, ids, findings)
            case SqlType.INTERVAL:
                return _duration(array, ids, findings)
            case SqlType.NUMERIC:
                return _decimal(array)
            case _:
                return array.cast(_SIMPLE[target])
    except pa.ArrowInvalid as e:
        raise UnsupportedFormat(f"A value of type {array.type} does not fit into a {target.value} column: {e}.") from e


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array


def _text(array: pa.Array, ids: np.ndarray, findings: Findings) -> pa.Array:
    if pa.types.is_null(array.type):
        return array.cast(pa.string())
    if not pa.types.is_string(array.type):
        array = array.cast(pa.string())
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        array = _recoded(array, ids, findings)
    with_nul = pc.match_substring(array, _NUL)
    if pc.any(with_nul).as_py():
        _count(FindingCode.NUL_REMOVED, with_nul, ids, findings)
        array = pc.replace_substring(array, _NUL, "")
    return array


def _recoded(array: pa.Array, ids: np.ndarray, findings: Findings) -> pa.Array:
    texts: list[str | None] = []
    bad: list[int] = []
    for position, raw in enumerate(array.view(pa.binary()).to_pylist()):
        try:
            texts.append(None if raw is None else raw.decode())
        except UnicodeDecodeError:
            texts.append(raw.decode("cp1252", errors="replace"))
            bad.append(position)
    findings.add(FindingCode.TEXT_RECODED, len(bad), ids[bad])
    return pa.array(texts, pa.string())


def _text_list(array: pa.Array, ids: np.ndarray, findings: Findings) -> pa.Array:
    lists = array.cast(pa.list_(pa.string()))
    parents = ids[pc.list_parent_indices(lists).to_numpy()]
    values = _text(lists.flatten(), parents, findings)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, mask=lists.is_null())


def _json(array: pa.Array, ids: np.ndarray, findings: Findings) -> pa.Array:
    if not pa.types.is_string(array.type) and not pa.types.is_large_string(array.type):
        values = (None if v is None else json.dumps(_plain_value(v), ensure_ascii=False) for v in array.to_pylist())
        array = pa.array(values, pa.string())
    texts = _text(array, ids, findings).to_pylist()
    checked = [None if t is None else _json_text(t, feature, findings) for t, feature in zip(texts, ids, strict=True)]
    return pa.array(checked, pa.string())


def _plain_value(value: object) -> JsonValue:
    """What JSON has no form for, inside a list or record: numbers that are none by name, bytes in base64, else text."""
    match value:
        case dict():
            return {str(name): _plain_value(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain_value(inner) for inner in value]
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)


def _json_text(text: str, feature: int, findings: Findings) -> str:
    try:
        value: JsonValue = json.loads(text, parse_constant=_not_json)
    except ValueError:
        return json.dumps(text, ensure_ascii=False)
    if "\\u0000" in text:
        findings.add(FindingCode.NUL_REMOVED, 1, [feature])
        text = json.dumps(value, ensure_ascii=False).replace("\\u0000", "")
    elif "\\ud" in text.lower():
        text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text


def _not_json(constant: str) -> None:
    raise ValueError(constant)


def _timestamp(array: pa.Array, ids: np.ndarray, findings: Findings) -> pa.Array:
    zone = "UTC" if array.type.tz is not None else None
    counts = pc.cast(array.cast(pa.timestamp(array.type.unit)), pa.int64())
    ticks = _PER_SECOND[array.type.unit]
    limits = _FIRST_SECOND * ticks, (_LAST_SECOND + 1) * ticks - 1
    array = _within(array, counts, limits, ids, findings)
    return _microseconds(array, pa.timestamp("us", tz=zone), ids, findings)


def _duration(array: pa.Array, ids: np.ndarray, findings: Findings) -> pa.Array:
    counts = pc.cast(array, pa.int64())
    longest = np.iinfo(np.int64).max * _PER_SECOND[array.type.unit] // _PER_SECOND["us"]
    array = _within(array, counts, (-longest, longest), ids, findings)
    return _microseconds(array, pa.duration("us"), ids, findings)


def _within(
    array: pa.Array, counts: pa.Array, limits: tuple[int, int], ids: np.ndarray, findings: Findings
) -> pa.Array:
    first, last = limits
    found = pc.min_max(counts).as_py()
    if found["min"] is None or (found["min"] >= first and found["max"] <= last):
        return array
    outside = pc.or_(pc.less(counts, first), pc.greater(counts, last))
    _count(FindingCode.DATE_OUT_OF_RANGE, outside, ids, findings)
    return pc.if_else(outside, pa.scalar(None, array.type), array)


def _microseconds(array: pa.Array, target: pa.DataType, ids: np.ndarray, findings: Findings) -> pa.Array:
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        cut = array.cast(target, safe=False)
        _count(FindingCode.TIME_PRECISION_LOST, pc.not_equal(cut.cast(array.type), array), ids, findings)
        return cut


def _decimal(array: pa.Array) -> pa.Array:
    if pa.types.is_uint64(array.type):
        return array.cast(pa.decimal128(20, 0))
    if pa.types.is_decimal256(array.type):
        return array
    return array.cast(pa.decimal128(38, array.type.scale))


def _count(code: FindingCode, mask: pa.Array, ids: np.ndarray, findings: Findings) -> None:
    chosen = ids[np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))]
    findings.add(code, len(chosen), chosen)
