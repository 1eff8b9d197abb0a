"""What RFC 7946 asks of a GeoJSON polygon beyond validity: the direction of its rings, and no vertex twice in a row."""

from __future__ import annotations

import numpy as np
import shapely

from core.contracts.vector_findings import FindingCode
from services.vector.shapes import Shapes, coordinates


def check(batch: Shapes) -> None:
    """Count polygons whose rings run the other way, and lines and polygons that repeat a vertex. Nothing is changed."""
    batch.count(FindingCode.RING_ORIENTATION, batch.keep & misdirected(batch.shapes))
    batch.count(FindingCode.REPEATED_POINTS, batch.keep & _repeating(batch.shapes))


def orient(batch: Shapes) -> None:
    """Turn the rings that run the wrong way: exteriors counter-clockwise, holes clockwise."""
    wrong = batch.keep & misdirected(batch.shapes)
    if wrong.any():
        batch.replace(wrong, shapely.orient_polygons(batch.shapes[wrong], exterior_cw=False))
        batch.count(FindingCode.RING_ORIENTATION, wrong)


def misdirected(shapes: np.ndarray) -> np.ndarray:
    """True for shapes with a polygon whose exterior is clockwise or whose hole is not."""
    wrong = np.zeros(len(shapes), bool)
    parts, owners = shapely.get_parts(shapes, return_index=True)
    areal = shapely.get_type_id(parts) == 3
    polygons, owners = parts[areal], owners[areal]
    if len(polygons) == 0:
        return wrong
    wrong[owners[~shapely.is_ccw(shapely.get_exterior_ring(polygons))]] = True
    with_holes = shapely.get_num_interior_rings(polygons) > 0
    if with_holes.any():
        rings, ring_owners = shapely.get_rings(polygons[with_holes], return_index=True)
        first = np.r_[True, ring_owners[1:] != ring_owners[:-1]]
        wrong_holes = shapely.is_ccw(rings) & ~first
        wrong[owners[with_holes][ring_owners[wrong_holes]]] = True
    return wrong


def _repeating(shapes: np.ndarray) -> np.ndarray:
    found = np.zeros(len(shapes), bool)
    xy, owners = coordinates(shapes)
    if len(xy) < 2:
        return found
    alike = (xy[1:] == xy[:-1]).all(axis=1) & (owners[1:] == owners[:-1])
    # The last vertex of one ring may be the first of the next: only those that lose a vertex repeat one.
    candidates = np.unique(owners[1:][alike])
    lineal = candidates[shapely.get_dimensions(shapes[candidates]) > 0]
    if len(lineal):
        before = shapely.get_num_coordinates(shapes[lineal])
        fewer = shapely.get_num_coordinates(shapely.remove_repeated_points(shapes[lineal])) < before
        found[lineal[fewer]] = True
    return found
