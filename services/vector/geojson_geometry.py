"""GeoJSON geometry into WKB, with the coordinates taken as one buffer of numbers a ring."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa

from services.vector.geojson_blocks import NotPlain

_CODES = {
    "Point": 1,
    "LineString": 2,
    "Polygon": 3,
    "MultiPoint": 4,
    "MultiLineString": 5,
    "MultiPolygon": 6,
    "GeometryCollection": 7,
}
_HEIGHTS = {2: 0, 3: 1000}  #: what a position's length adds to the code
_code = struct.Struct("<BI").pack
_counted = struct.Struct("<BII").pack
_ringed = struct.Struct("<BIII").pack
_count = struct.Struct("<I").pack


class Numbers(Protocol):
    """A copy of an array's numbers, to be read as a buffer."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...


class JsonArray(Protocol):
    """An array as the parser holds it."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[JsonArray]: ...
    def __getitem__(self, position: int) -> JsonArray: ...
    def as_buffer(self, *, of_type: str) -> Numbers:
        """All numbers below, as doubles."""
        ...


class JsonObject(Protocol):
    """An object as the parser holds it."""

    def __getitem__(self, key: str) -> JsonArray: ...


class Geometries:
    """The geometries of a block, as pieces of ISO WKB, little-endian, which are joined once."""

    def __init__(self) -> None:
        self._pieces: list[bytes | Numbers] = []
        self._sizes: list[int] = []
        self._missing: list[int] = []

    def add(self, geometry: JsonObject | None) -> None:
        """Another. Raises NotPlain for what is not RFC 7946's two or three numbers a position."""
        if geometry is None:
            self._missing.append(len(self._sizes))
            self._sizes.append(0)
            return
        try:
            self._sizes.append(self._geometry(geometry)[0])
        except (KeyError, ValueError, TypeError, IndexError) as e:
            raise NotPlain("a geometry is not as RFC 7946 wants it") from e

    def array(self) -> pa.Array:
        """All of them; those of features without geometry are null."""
        count = len(self._sizes)
        offsets = pa.array(np.concatenate(([0], np.cumsum(self._sizes, dtype=np.int64))), pa.int32())
        data = pa.py_buffer(b"".join(self._pieces))  # type: ignore[arg-type]  # buffers all
        present = None
        if self._missing:
            there = np.ones(count, bool)
            there[self._missing] = False
            present = pa.array(there).buffers()[1]
        return pa.Array.from_buffers(pa.binary(), count, [present, offsets.buffers()[1], data])

    # Each of these adds the pieces of one shape, and tells its size in bytes and what its heights add to the code.

    def _geometry(self, geometry: JsonObject) -> tuple[int, int]:
        code = _CODES[geometry["type"]]  # type: ignore[index]  # a text, or none of them
        if code == 7:
            parts = geometry["geometries"]
            return self._parts(code, len(parts), map(self._geometry, parts))  # type: ignore[arg-type]  # objects
        return self._shape(code, geometry["coordinates"])

    def _shape(self, code: int, coordinates: JsonArray) -> tuple[int, int]:
        if code == 3:
            if len(coordinates) != 1:
                return self._parts(code, len(coordinates), map(self._ring, coordinates))
            count, raw, z = _positions(coordinates[0], least=1)
            self._pieces += (_ringed(1, 3 + z, 1, count), raw)
            return 13 + raw.size, z
        if code == 2:
            count, raw, z = _positions(coordinates)
            self._pieces += (_counted(1, 2 + z, count), raw)
            return 9 + raw.size, z
        if code == 1:
            raw = coordinates.as_buffer(of_type="d")
            z = _HEIGHTS[raw.size / 8]  # type: ignore[index]  # a fraction is none of them
            self._pieces += (_code(1, 1 + z), raw)
            return 5 + raw.size, z
        return self._parts(code, len(coordinates), map(partial(self._shape, code - 3), coordinates))

    def _ring(self, ring: JsonArray) -> tuple[int, int]:
        count, raw, z = _positions(ring, least=1)
        self._pieces += (_count(count), raw)
        return 4 + raw.size, z

    def _parts(self, code: int, count: int, parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
        at, size, heights = len(self._pieces), 9, -1
        self._pieces.append(b"")
        for more, z in parts:
            if heights not in (-1, z):
                raise NotPlain("a geometry mixes heights and none")
            size, heights = size + more, z
        self._pieces[at] = _counted(1, code + max(heights, 0), count)
        return size, max(heights, 0)


def _positions(line: JsonArray, least: int = 0) -> tuple[int, Numbers, int]:
    """How many, their numbers, and what their heights add to the code."""
    count, raw = len(line), line.as_buffer(of_type="d")
    if count == 0:
        if least:
            raise NotPlain("a ring is empty")
        return 0, raw, 0
    size, rest = divmod(raw.size, 8 * count)
    # Positions of unlike length could add up; the ends tell all but the strangest.
    if rest or len(line[0]) != size or len(line[count - 1]) != size:
        raise NotPlain("a line mixes positions of two and three numbers")
    return count, raw, _HEIGHTS[size]
