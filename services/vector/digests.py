"""Eight bytes for each row that are the same where geometry and attributes are, in this process alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.vector import wkb

#: An odd number, so that it can be divided by modulo 2^64.
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_BLOCK = 1 << 18  #: bytes of text looked at together
_LONG = 1024  #: bytes from which on a text is looked at alone
_NULL = np.uint64(0x6E756C6C)


def of_rows(batch: pa.RecordBatch, *, points: bool) -> np.ndarray:
    """A digest of each row, of all columns but the first, which is the id. The last is the geometry as WKB.

    `points` says that every batch of the table holds flat points alone.
    """
    *attributes, geometry = batch.columns[1:]
    found_points = wkb.points(geometry) if points else None
    found = _hashed(geometry.to_pylist()) if found_points is None else _of_points(*found_points)
    for column in attributes:
        found *= np.uint64(_BASE)
        found += _of_column(column)
    return _mixed(found)


def _of_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    first, second = (np.ascontiguousarray(values).view(np.uint64) for values in (x, y))
    return _mixed(first * np.uint64(_BASE) + second)


def _of_column(column: pa.Array) -> np.ndarray:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        found = _of_texts(column)
    elif pa.types.is_nested(column.type):
        found = _hashed([repr(value) for value in column.to_pylist()])
    else:
        found = _of_numbers(column)
    if column.null_count:
        found[column.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return found


def _of_numbers(column: pa.Array) -> np.ndarray:
    width = column.type.bit_width // 8
    raw = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width : (column.offset + len(column)) * width]
    words = raw.view(f"u{min(width, 8)}").reshape(len(column), -1).astype(np.uint64)
    found = _mixed(words[:, 0].copy())
    for other in words.T[1:]:  # decimals have two
        found = _mixed(found * np.uint64(_BASE) + other)
    return found


def _of_texts(column: pa.Array) -> np.ndarray:
    lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy()
    long = lengths > _LONG
    if not long.any():
        return _short(column, lengths)
    found = np.empty(len(column), np.uint64)
    found[long] = _hashed(column.filter(pa.array(long)).to_pylist())
    found[~long] = _short(column.filter(pa.array(~long)), lengths[~long])
    return found


def _short(column: pa.Array, lengths: np.ndarray) -> np.ndarray:
    """Of every text the sum of its bytes times powers of the base: differences of one running sum for a block."""
    cuts = np.flatnonzero(np.diff(np.cumsum(lengths) // _BLOCK)) + 1
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    raw = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    pieces = []
    for first, last in pairwise([0, *cuts.tolist(), len(column)]):
        starts = offsets[first : last + 1] - offsets[first]
        text = raw[offsets[first] : offsets[last]].astype(np.uint64)
        running = np.zeros(len(text) + 1, np.uint64)
        np.cumsum((text + np.uint64(1)) * _POWERS[: len(text)], out=running[1:])
        pieces.append((running[starts[1:]] - running[starts[:-1]]) * _INVERSES[starts[:-1]])
    return _mixed(np.concatenate(pieces))


def _hashed(values: Sequence[object]) -> np.ndarray:
    return _mixed(np.fromiter(map(hash, values), np.int64, len(values)).view(np.uint64))


def _mixed(words: np.ndarray) -> np.ndarray:
    words ^= words >> np.uint64(33)
    words *= _MIX
    words ^= words >> np.uint64(29)
    return words


def _powers(base: int) -> np.ndarray:
    factors = np.full(_BLOCK + _LONG, base, np.uint64)
    factors[0] = 1
    powers: np.ndarray = np.multiply.accumulate(factors)
    return powers


_POWERS, _INVERSES = _powers(_BASE), _powers(pow(_BASE, -1, 1 << 64))
