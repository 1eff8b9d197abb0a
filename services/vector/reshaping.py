"""Geometries given other vertices: in another CRS, fewer of them, with heights or without."""

from __future__ import annotations

import numpy as np
import pyproj
import shapely

from core.contracts.vector import GeometryOptions, OnInvalid
from core.contracts.vector_findings import FindingCode
from services.vector import repair
from services.vector.shapes import Shapes


def reproject(batch: Shapes, transformer: pyproj.Transformer) -> None:
    """Bring every vertex to another CRS; what has no place there is left out."""

    def moved(xyz: np.ndarray) -> np.ndarray:
        x, y = transformer.transform(xyz[:, 0], xyz[:, 1])
        return np.column_stack((x, y, xyz[:, 2:]))

    for dimension in (False, True):
        chosen = batch.keep & (shapely.has_z(batch.shapes) == dimension)
        if chosen.any():
            batch.shapes[chosen] = shapely.transform(batch.shapes[chosen], moved, include_z=dimension)
    batch.changed[:] = True
    lost = batch.keep & ~np.isfinite(shapely.bounds(batch.shapes)).all(axis=1)
    batch.leave_out(FindingCode.UNREADABLE_GEOMETRY, lost)


def apply_options(batch: Shapes, options: GeometryOptions) -> None:
    """Simplify and quantize as the request asks."""
    if options.simplify is None and options.quantize is None:
        return
    keep = batch.keep.copy()
    if options.simplify is not None:
        keeping = options.simplify.preserve_topology
        simple = shapely.simplify(batch.shapes[keep], options.simplify.tolerance, preserve_topology=keeping)
        batch.replace(keep, simple)
    if options.quantize is not None:
        batch.replace(keep, shapely.set_precision(batch.shapes[keep], options.quantize.grid_size))
    batch.leave_out(FindingCode.EMPTY_GEOMETRY, keep & shapely.is_empty(batch.shapes))
    if options.simplify is not None and not options.simplify.preserve_topology:
        # What the request asked for made them invalid, not the file.
        repair.validate(batch, OnInvalid.REPAIR)


def align_z(batch: Shapes, wanted: bool) -> None:
    """Give all of them heights, or none."""
    unlike = batch.keep & (shapely.has_z(batch.shapes) != wanted)
    if not unlike.any():
        return
    shapes = batch.shapes[unlike]
    batch.shapes[unlike] = shapely.force_3d(shapes, 0.0) if wanted else shapely.force_2d(shapes)
    batch.changed |= unlike
    batch.count(FindingCode.Z_FILLED if wanted else FindingCode.Z_DROPPED, unlike)
