"""Which type fits a column of texts? Only one in which every value can be written back the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.contracts.tables import SqlType

#: Cells that mean nothing was recorded, in columns of numbers, dates and truth values; in text only the empty cell.
NULLS = ("", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "nan", "NaN")
_LONG = r"^\s*[+-]?\d{19,}"
_LATER: Mapping[pa.DataType, tuple[pa.DataType, ...]] = {
    pa.int64(): (pa.float64(),),
    pa.float64(): (),
    pa.date32(): (pa.timestamp("us"),),
    pa.timestamp("us"): (),
    pa.bool_(): (),
}
_FIRST_CHOICES = (pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), pa.bool_())
#: The types above as the contract between the stages names them.
ARROW: Mapping[SqlType, pa.DataType] = {
    SqlType.BIGINT: pa.int64(),
    SqlType.DOUBLE: pa.float64(),
    SqlType.DATE: pa.date32(),
    SqlType.TIMESTAMP: pa.timestamp("us"),
    SqlType.BOOLEAN: pa.bool_(),
    SqlType.TEXT: pa.string(),
}
_NAMES = {arrow: name for name, arrow in ARROW.items()}


def named(schema: pa.Schema) -> dict[str, SqlType]:
    """The contract's names of the types."""
    return {field.name: _NAMES[field.type] for field in schema}


def narrowed(current: pa.DataType | None, column: pa.Array) -> pa.DataType | None:
    """The type that still fits after another block; None while only nulls were seen."""
    if current == pa.string():
        return current
    if current is not None and _fits(column, current):
        return current if _writes_back(column) else pa.string()
    present = column.filter(pc.invert(pc.is_in(column, value_set=pa.array(NULLS))))
    if len(present) == 0:
        return current
    if not _writes_back(present):
        return pa.string()
    choices = _FIRST_CHOICES if current is None else (current, *_LATER[current])
    return next((t for t in choices if _fits(present, t)), pa.string())


def numbers(column: pa.Array) -> pa.Array:
    """The texts as numbers if all of them are; else as they are."""
    return column.cast(pa.float64()) if _fits(column, pa.float64()) else column


def _writes_back(column: pa.Array) -> bool:
    """False for cells with a leading zero or plus, and for numbers too long for a double."""
    if _zero_led(column):
        return False
    long = pc.max(pc.binary_length(column)).as_py()
    return long is None or long < 19 or not pc.any(pc.match_substring_regex(column, _LONG)).as_py()


def _zero_led(column: pa.Array) -> bool:
    # A regular expression over every cell takes longer than reading the file.
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    lengths, first = np.diff(offsets), offsets[:-1]
    if (data[first[lengths > 0]] == ord("+")).any():
        return True
    first = first[lengths >= 3].astype(np.int64)
    signed = first + (data[first] == ord("-"))
    short = offsets[:-1][lengths == 2].astype(np.int64)
    return _zero_and_digit(data, signed) or _zero_and_digit(data, short)


def _zero_and_digit(data: np.ndarray, at: np.ndarray) -> bool:
    digit = (data[at + 1] >= ord("0")) & (data[at + 1] <= ord("9"))
    return bool(((data[at] == ord("0")) & digit).any())


def _fits(column: pa.Array, target: pa.DataType) -> bool:
    try:
        column.cast(target)
    except pa.ArrowInvalid:
        return False
    return True
