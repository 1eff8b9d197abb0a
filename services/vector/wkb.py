"""Well-known binary as Arrow holds it: type codes and points read, and prefixes written, without geometry objects."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_POINT = np.dtype([("order", "u1"), ("code", "<u4"), ("x", "<f8"), ("y", "<f8")])

#: What PostGIS' EWKB adds to a type code; an SRID of four bytes follows the code.
EWKB_Z, EWKB_M, EWKB_SRID = 0x80000000, 0x40000000, 0x20000000
ISO_CODE = 0x0FFFFFFF

#: Codes of ISO WKB modulo 1000, in the order of the standard.
NAMES = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
_CODES = {name: code for code, name in NAMES.items()}


def bytes_of(geometry: pa.Array) -> pa.Array:
    """The column as plain `binary`, whatever Arrow type or extension carried it."""
    if isinstance(geometry, pa.ExtensionArray):
        geometry = geometry.storage
    return geometry if pa.types.is_binary(geometry.type) else geometry.cast(pa.binary())


def type_codes(geometry: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the values long enough to be geometry: base type (1 to 7), whether there is Z, and M, from the first bytes."""
    enough = pc.greater_equal(pc.binary_length(geometry), 5)
    present = geometry if pc.all(enough, skip_nulls=False).as_py() else geometry.filter(enough)
    if len(present) == 0:
        return np.empty(0, np.uint32), np.empty(0, bool), np.empty(0, bool)
    offsets = np.frombuffer(present.buffers()[1], np.int32)[present.offset : present.offset + len(present)]
    data = np.frombuffer(present.buffers()[2], np.uint8)
    heads = data[offsets[:, None].astype(np.int64) + np.arange(5)]
    little = np.ascontiguousarray(heads[:, 1:5]).view("<u4").ravel()
    codes = np.where(heads[:, 0] == 1, little, little.byteswap())
    iso = codes & ISO_CODE
    more = iso // 1000
    has_z = ((codes & EWKB_Z) != 0) | (more == 1) | (more == 3)
    has_m = ((codes & EWKB_M) != 0) | (more == 2) | (more == 3)
    return iso % 1000, has_z, has_m


def kinds(geometry: pa.Array) -> np.ndarray:
    """Of every value its base type as in NAMES, 0 where there is none."""
    codes, _, _ = type_codes(geometry)
    found = np.zeros(len(geometry), np.uint32)
    found[pc.fill_null(pc.greater_equal(pc.binary_length(geometry), 5), False).to_numpy(zero_copy_only=False)] = codes
    return found


def has_curves(geometry: pa.Array) -> bool:
    """True when a value is of a type with arcs, or another that shapely does not know."""
    codes, _, _ = type_codes(geometry)
    return bool((codes > 7).any())


def points(geometry: pa.Array) -> tuple[np.ndarray, np.ndarray] | None:
    """x and y when every value is a little-endian 2-D point; else None."""
    if geometry.null_count or len(geometry) == 0:
        return None
    offsets = np.frombuffer(geometry.buffers()[1], np.int32)[geometry.offset : geometry.offset + len(geometry) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    if last - first != 21 * len(geometry) or (np.diff(offsets) != 21).any():
        return None
    found = np.frombuffer(geometry.buffers()[2], np.uint8)[first:last].view(_POINT)
    if (found["order"] != 1).any() or (found["code"] != 1).any():
        return None
    return found["x"], found["y"]


#: How many bytes come before the vertices of a polygon of one ring, and of a MultiPolygon of one such part.
RING_HEADERS: Mapping[int, bytes] = {
    13: struct.pack("<BII", 1, 3, 1),
    22: struct.pack("<BIIBII", 1, 6, 1, 1, 3, 1),
}


def ring_headers(geometry: pa.Array) -> np.ndarray:
    """Of every value which of RING_HEADERS it begins with, when all that follows is 2-D vertices; else 0."""
    found = np.zeros(len(geometry), np.int32)
    offsets = np.frombuffer(geometry.buffers()[1], np.int32)[geometry.offset : geometry.offset + len(geometry) + 1]
    lengths = np.diff(offsets)
    shortest, longest = 13 + 4 * 16, max(RING_HEADERS)
    rows = np.flatnonzero((lengths >= shortest) & geometry.is_valid().to_numpy(zero_copy_only=False))
    if not len(rows):
        return found
    heads = np.frombuffer(geometry.buffers()[2], np.uint8)[offsets[rows, None] + np.arange(longest)]
    for header, start in RING_HEADERS.items():
        vertices = np.ascontiguousarray(heads[:, header - 4 : header]).view("<u4").ravel()
        alike = (heads[:, : len(start)] == np.frombuffer(start, np.uint8)).all(axis=1)
        found[rows[alike & (lengths[rows] - header == vertices.astype(np.int64) * 16)]] = header
    return found


def from_points(x: np.ndarray, y: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Little-endian 2-D points, 21 bytes each, straight from coordinates; null where `missing`."""
    block = np.empty(len(x), _POINT)
    block["order"], block["code"], block["x"], block["y"] = 1, 1, x, y
    offsets = np.arange(len(x) + 1, dtype=np.int32) * 21
    array = pa.Array.from_buffers(pa.binary(), len(x), [None, pa.py_buffer(offsets), pa.py_buffer(block)])
    if missing is None or not missing.any():
        return array
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.binary()), array)


def promoted(geometry: pa.Array, single: np.ndarray, family: str, has_z: bool, has_m: bool) -> pa.Array:
    """The single geometries wrapped as a `family` of one part: nine bytes before the same bytes."""
    if not single.any():
        return geometry
    multi = _CODES[family] + (1000 if has_z else 0) + (2000 if has_m else 0)
    prefix = pa.scalar(struct.pack("<BII", 1, multi, 1), pa.binary())
    wrapped = pc.binary_join_element_wise(prefix, geometry, pa.scalar(b"", pa.binary()))
    return wrapped if single.all() else pc.if_else(pa.array(single), wrapped, geometry)
