"""Measures (M), which GEOS loses whenever it changes a shape: kept by rewriting the file's own bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from services.vector import wkb

_Move = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def rewritten(geometry: pa.Array, has_z: bool, move: _Move | None) -> pa.Array:
    """The same geometries with M, and with Z if `has_z`, their x and y moved; what has no Z or M gets 0."""
    values = (None if raw is None else _Walk(raw, has_z, move).geometry() for raw in geometry.to_pylist())
    return pa.array(values, pa.binary())


class _Walk:
    """One pass over a WKB value, writing as it reads."""

    def __init__(self, raw: bytes, has_z: bool, move: _Move | None) -> None:
        self._raw, self._has_z, self._move = raw, has_z, move
        self._at = 0

    def geometry(self) -> bytes:
        """One geometry, from its byte order mark on."""
        order = "<" if self._raw[self._at] == 1 else ">"
        self._at += 1
        code = self._number(order)
        if code & wkb.EWKB_SRID:
            self._at += 4
        dimensions, base = _dimensions(code)
        head = struct.pack("<BI", 1, base + (3000 if self._has_z else 2000))
        if base == 1:
            return head + self._vertices(order, dimensions, 1)
        count = self._number(order)
        body = struct.pack("<I", count)
        if base == 2:
            return head + body + self._vertices(order, dimensions, count)
        if base == 3:
            return head + body + b"".join(self._ring(order, dimensions) for _ in range(count))
        return head + body + b"".join(self.geometry() for _ in range(count))

    def _ring(self, order: str, dimensions: str) -> bytes:
        count = self._number(order)
        return struct.pack("<I", count) + self._vertices(order, dimensions, count)

    def _vertices(self, order: str, dimensions: str, count: int) -> bytes:
        width = len(dimensions)
        found = np.frombuffer(self._raw, f"{order}f8", count * width, self._at).reshape(count, width)
        self._at += count * width * 8
        x, y = found[:, 0], found[:, 1]
        if self._move is not None:
            x, y = self._move(x, y)
        nothing = np.zeros(count)
        z, m = (found[:, dimensions.index(d)] if d in dimensions else nothing for d in "zm")
        columns = (x, y, z, m) if self._has_z else (x, y, m)
        return np.column_stack(columns).astype("<f8").tobytes()

    def _number(self, order: str) -> int:
        (value,) = struct.unpack_from(f"{order}I", self._raw, self._at)
        self._at += 4
        return int(value)


def _dimensions(code: int) -> tuple[str, int]:
    iso = code & wkb.ISO_CODE
    has_z = bool(code & wkb.EWKB_Z) or iso // 1000 in (1, 3)
    has_m = bool(code & wkb.EWKB_M) or iso // 1000 in (2, 3)
    return "xy" + ("z" if has_z else "") + ("m" if has_m else ""), iso % 1000
