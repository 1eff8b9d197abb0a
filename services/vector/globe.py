"""Do longitudes and latitudes lie where they can, and does anything cross the antimeridian?"""

from __future__ import annotations

import numpy as np
import shapely

from core.contracts.vector_findings import FindingCode
from services.vector.findings import Findings
from services.vector.shapes import Shapes

#: A little more than the globe: 180.00000000000003 is a rounding, not a mistake.
_MAX_X, _MAX_Y = 180 + 1e-9, 90 + 1e-9


def check_points(x: np.ndarray, y: np.ndarray, ids: np.ndarray, findings: Findings) -> None:
    """Count points beyond the globe, and those that would lie on it if x and y changed places."""
    outside = (np.abs(x) > _MAX_X) | (np.abs(y) > _MAX_Y)
    if not outside.any():
        return
    findings.add(FindingCode.COORDINATES_OUT_OF_RANGE, int(outside.sum()), ids[outside])
    swapped = (np.abs(y) > _MAX_Y) & (np.abs(y) <= _MAX_X) & (np.abs(x) <= _MAX_Y)
    findings.add(FindingCode.SWAPPED_COORDINATES, int(swapped.sum()), ids[swapped])


def on_it(boxes: np.ndarray) -> np.ndarray:
    """True for boxes of which `check` has nothing to tell."""
    west, south, east, north = boxes.T
    inside: np.ndarray = (west >= -_MAX_X) & (east <= _MAX_X) & (south >= -_MAX_Y) & (north <= _MAX_Y)
    inside &= east - west <= 180
    return inside


def check(batch: Shapes, *, split: bool) -> None:
    """Count what lies beyond the globe or crosses the antimeridian; with `split`, cut it into parts there."""
    box = shapely.bounds(batch.shapes)
    west, south, east, north = box.T
    with np.errstate(invalid="ignore"):
        beyond_x = batch.keep & ((west < -_MAX_X) | (east > _MAX_X))
        beyond_y = batch.keep & ((south < -_MAX_Y) | (north > _MAX_Y))
        wide = batch.keep & (east - west > 180)
        swapped = beyond_y & (np.maximum(np.abs(south), np.abs(north)) <= _MAX_X)
        swapped &= np.maximum(np.abs(west), np.abs(east)) <= _MAX_Y
    crossing = _with_long_edges(batch, wide)
    if split:
        crossing, beyond_x = _split(batch, crossing, beyond_x)
    batch.count(FindingCode.COORDINATES_OUT_OF_RANGE, beyond_x | beyond_y)
    batch.count(FindingCode.SWAPPED_COORDINATES, swapped)
    batch.count(FindingCode.CROSSES_ANTIMERIDIAN, crossing)


def _with_long_edges(batch: Shapes, wide: np.ndarray) -> np.ndarray:
    """Of the wide ones those with an edge over half the globe, other than one along a pole, which has no length."""
    found = np.zeros(len(wide), bool)
    for i in np.flatnonzero(wide):
        found[i] = any(_long(xy).any() for xy in _paths(batch.shapes[i]))
    return found


def _paths(shape: shapely.Geometry) -> list[np.ndarray]:
    lines = [part if part.geom_type != "Polygon" else part.boundary for part in shapely.get_parts(shape)]
    pieces = shapely.get_parts(np.array([line for line in lines if line.geom_type != "Point"], object))
    return [shapely.get_coordinates(piece) for piece in pieces]


def _long(xy: np.ndarray) -> np.ndarray:
    span = np.abs(np.diff(xy[:, 0]))
    at_pole = (np.abs(xy[:-1, 1]) >= 90) & (np.abs(xy[1:, 1]) >= 90)
    # From -180 to 180 exactly is the frame of a map of the world.
    framed: np.ndarray = (span > 180) & (span < 360) & ~at_pole
    return framed


def _split(batch: Shapes, crossing: np.ndarray, beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut what can be cut; what stays as it is, in both senses."""
    done = np.zeros(len(crossing), bool)
    shapes = batch.shapes.copy()
    for i in np.flatnonzero(crossing | beyond):
        parts = _folded(_unwrapped(shapes[i]) if crossing[i] else shapes[i])
        if parts is not None:
            shapes[i], done[i] = parts, True
    batch.replace(done, shapes[done])
    batch.count(FindingCode.SPLIT_AT_ANTIMERIDIAN, done)
    return crossing & ~done, beyond & ~done


def _unwrapped(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The shape with its western parts moved 360 degrees east; None when edges are long even then."""

    def moved(xy: np.ndarray) -> np.ndarray:
        return np.column_stack((np.where(xy[:, 0] < 0, xy[:, 0] + 360, xy[:, 0]), xy[:, 1:]))

    result = shapely.transform(shape, moved, include_z=bool(shapely.has_z(shape)))
    return None if any(_long(xy).any() for xy in _paths(result)) else result


def _folded(shape: shapely.Geometry | None) -> shapely.Geometry | None:
    """The shape's parts in -540..-180, -180..180 and 180..540, each moved onto the globe."""
    if shape is None or not shapely.is_valid(shape):
        return None
    parts = []
    for turn in (-360, 0, 360):
        piece = shapely.intersection(shape, shapely.box(-180 + turn, -90, 180 + turn, 90))
        if not shapely.is_empty(piece):
            parts.append(_turned(piece, turn))
    dimension = shapely.get_dimensions(shape)
    same = [p for part in parts for p in shapely.get_parts(part) if shapely.get_dimensions(p) == dimension]
    if not same:
        return None
    build = (shapely.multipoints, shapely.multilinestrings, shapely.multipolygons)[int(dimension)]
    return same[0] if len(same) == 1 else build(same)


def _turned(piece: shapely.Geometry, turn: int) -> shapely.Geometry:
    def moved(xy: np.ndarray) -> np.ndarray:
        return np.column_stack((xy[:, 0] - turn, xy[:, 1:]))

    return shapely.transform(piece, moved, include_z=bool(shapely.has_z(piece)))
