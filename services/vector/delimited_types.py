"""Which type fits a column of texts? Only one in which every value can be written back the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.contracts.tables import SqlType

#: Cells that mean nothing was recorded, in columns of numbers, dates and truth values; in text only the empty cell.
NULLS = ("", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "nan", "NaN")
_LONG, _LONGEST = r"^\s*[+-]?\d{19,}", 10**18
_LATER: Mapping[pa.DataType, tuple[pa.DataType, ...]] = {
    pa.int64(): (pa.float64(),),
    pa.float64(): (),
    pa.date32(): (pa.timestamp("us"),),
    pa.timestamp("us"): (),
    pa.timestamp("us", tz="UTC"): (),
    pa.bool_(): (),
}
_FIRST_CHOICES = tuple(_LATER)
#: The types above as the contract between the stages names them.
ARROW: Mapping[SqlType, pa.DataType] = {
    SqlType.BIGINT: pa.int64(),
    SqlType.DOUBLE: pa.float64(),
    SqlType.DATE: pa.date32(),
    SqlType.TIMESTAMP: pa.timestamp("us"),
    SqlType.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
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
    if current is not None and (values := _cast(column, current)) is not None:
        return current if _writes_back(column, values) else pa.string()
    present = column.filter(pc.invert(pc.is_in(column, value_set=pa.array(NULLS))))
    if len(present) == 0:
        return current
    for choice in _FIRST_CHOICES if current is None else (current, *_LATER[current]):
        if (values := _cast(present, choice)) is not None:
            return choice if _writes_back(present, values) else pa.string()
    return pa.string()


def numbers(column: pa.Array) -> pa.Array:
    """The texts as numbers if all of them are; else as they are."""
    values = _cast(column, pa.float64())
    return column if values is None else values


def _cast(column: pa.Array, target: pa.DataType) -> pa.Array | None:
    try:
        return column.cast(target)
    except pa.ArrowInvalid:
        return None


def _writes_back(column: pa.Array, values: pa.Array) -> bool:
    """False for cells with a leading zero or plus, and for numbers too long for a double."""
    if _zero_led(column):
        return False
    if values.type not in (pa.int64(), pa.float64()):
        return True
    ends = pc.min_max(values).as_py()
    if len(values) == 0 or -_LONGEST < ends["min"] <= ends["max"] < _LONGEST:
        return True
    return not pc.any(pc.match_substring_regex(column, _LONG)).as_py()


def _zero_led(column: pa.Array) -> bool:
    # A regular expression over every cell takes longer than reading the file.
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2] or b"\0", np.uint8)
    lengths = np.diff(offsets)
    starts = data[np.minimum(offsets[:-1], len(data) - 1)]
    # Most cells begin with another digit.
    rows = np.flatnonzero((starts <= ord("0")) & (lengths > 0))
    starts, at, lengths = starts[rows], offsets[rows], lengths[rows]
    if (starts == ord("+")).any():
        return True
    signed = starts == ord("-")
    at, lengths = (at + signed)[lengths > signed + 1], lengths[lengths > signed + 1]
    return bool(((data[at] == ord("0")) & (data[at + 1] >= ord("0")) & (data[at + 1] <= ord("9"))).any())
