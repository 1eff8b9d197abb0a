"""GeoJSON geometry into WKB, with the coordinates taken as one buffer of numbers a ring."""

from __future__ import annotations

import struct
from typing import Protocol

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
_SIZES = {16: 0, 24: 1000}


class JsonArray(Protocol):
    """An array as the parser holds it."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int) -> JsonArray: ...
    def as_buffer(self, *, of_type: str) -> bytes:
        """All numbers below, as doubles."""
        ...


class JsonObject(Protocol):
    """An object as the parser holds it."""

    def __getitem__(self, key: str) -> JsonArray: ...


def wkb(geometry: JsonObject) -> bytes:
    """ISO WKB, little-endian. Raises NotPlain for what is not RFC 7946's two or three numbers a position."""
    try:
        code = _CODES[str(geometry["type"])]
        if code == 7:
            parts = [wkb(part) for part in geometry["geometries"]]  # type: ignore[attr-defined]
            high = {struct.unpack_from("<I", part, 1)[0] // 1000 for part in parts}
            if len(high) > 1:
                raise NotPlain("a collection mixes heights and none")
            return struct.pack("<BII", 1, 7 + 1000 * max(high, default=0), len(parts)) + b"".join(parts)
        return _shape(code, geometry["coordinates"])
    except (KeyError, ValueError, TypeError, IndexError) as e:
        raise NotPlain("a geometry is not as RFC 7946 wants it") from e


def _shape(code: int, coordinates: JsonArray) -> bytes:
    if code == 1:
        raw = bytes(coordinates.as_buffer(of_type="d"))
        return struct.pack("<BI", 1, 1 + _SIZES[len(raw)]) + raw
    if code == 2:
        z, body = _positions(coordinates)
        return struct.pack("<BI", 1, 2 + z) + body
    if code == 3:
        rings = [_positions(ring, least=1) for ring in coordinates]  # type: ignore[attr-defined]
        z = _same(rings)
        return b"".join((struct.pack("<BII", 1, 3 + z, len(rings)), *(body for _, body in rings)))
    parts = [_shape(code - 3, part) for part in coordinates]  # type: ignore[attr-defined]
    heights = {struct.unpack_from("<I", part, 1)[0] // 1000 for part in parts}
    if len(heights) > 1:
        raise NotPlain("a geometry mixes heights and none")
    head = struct.pack("<BII", 1, code + 1000 * max(heights, default=0), len(parts))
    return b"".join((head, *parts))


def _positions(line: JsonArray, least: int = 0) -> tuple[int, bytes]:
    count = len(line)
    if count < least:
        raise NotPlain("a ring is empty")
    if count == 0:
        return 0, struct.pack("<I", 0)
    raw = bytes(line.as_buffer(of_type="d"))
    size, rest = divmod(len(raw), count)
    # Positions of unlike length could add up; the ends tell all but the strangest.
    if rest or 8 * len(line[0]) != size or 8 * len(line[count - 1]) != size:
        raise NotPlain("a line mixes positions of two and three numbers")
    return _SIZES[size], struct.pack("<I", count) + raw


def _same(rings: list[tuple[int, bytes]]) -> int:
    heights = {z for z, _ in rings}
    if len(heights) > 1:
        raise NotPlain("a polygon mixes heights and none")
    return max(heights, default=0)
