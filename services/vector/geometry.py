"""Geometries made fit for the table: whole, valid, of one type and in its CRS; every change counted.

Points stay points unless the layer also has multipoints; lines and polygons are always stored as Multi. Rings keep
the direction they have unless the request wants them oriented.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely

from core.contracts.vector import GeometryOptions, OnInvalid
from core.contracts.vector_findings import FindingCode
from services.vector import extents, globe, measures, repair, reshaping, rings, stars, wkb
from services.vector.findings import Findings
from services.vector.reference_systems import Bounds
from services.vector.shapes import Shapes


@dataclass(frozen=True)
class GeometryTarget:
    """What the table's geometry column takes. `degrees` when its CRS is EPSG:4326."""

    family: str  #: Point, a Multi type, GeometryCollection, or Geometry for unlike types together
    has_z: bool
    degrees: bool
    transformer: pyproj.Transformer | None
    options: GeometryOptions
    has_m: bool = False
    on_invalid: OnInvalid = OnInvalid.REPAIR
    geojson: bool = False  #: report what RFC 7946 asks for beyond validity


@dataclass(frozen=True)
class CleanGeometry:
    """WKB of the rows that stay, which rows those are, None for all of them, and how far they reach."""

    geometry: pa.Array
    keep: np.ndarray | None
    bounds: Bounds | None


def cleaned(column: pa.Array, ids: np.ndarray, target: GeometryTarget, findings: Findings) -> CleanGeometry:
    """Clean one batch. `ids` are the rows' feature ids. Raises InvalidGeometry if `on_invalid` is `fail`."""
    column = wkb.bytes_of(column)
    if not column.null_count:
        return _cleaned(column, ids, target, findings)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    findings.add(FindingCode.NULL_GEOMETRY, column.null_count, ids[~present])
    clean = _cleaned(column.drop_null(), ids[present], target, findings)
    keep = present.copy()
    keep[present] = True if clean.keep is None else clean.keep
    return replace(clean, keep=keep)


def _cleaned(column: pa.Array, ids: np.ndarray, target: GeometryTarget, findings: Findings) -> CleanGeometry:
    if target.family == "Point" and not target.has_z and target.options.quantize is None:
        coordinates = wkb.points(column)
        if coordinates is not None and np.isfinite(coordinates[0]).all() and np.isfinite(coordinates[1]).all():
            return _points(column, *coordinates, ids, target, findings)
    ready, bounds = _ready(column, target)
    clean = CleanGeometry(column, None, bounds)
    if not ready.all():
        others = pa.array(~ready)
        clean = _joined(clean, ready, _any(column.filter(others), ids[~ready], target, findings))
    kept = ids if clean.keep is None else ids[clean.keep]
    return replace(clean, geometry=_promoted(clean.geometry, kept, target, findings))


def _ready(column: pa.Array, target: GeometryTarget) -> tuple[np.ndarray, Bounds | None]:
    """True for polygons that are proven valid and stored as the file has them, and how far those reach."""
    options = target.options
    areal = target.family in ("MultiPolygon", "GeometryCollection", "Geometry")
    moved = target.transformer is not None or options.simplify is not None or options.quantize is not None
    if not areal or moved or target.has_z or target.has_m:
        return np.zeros(len(column), bool), None
    found = stars.found(column)
    ready = found.proven
    if target.geojson or options.orient_rings:
        ready &= ~found.clockwise
    if target.degrees:
        ready &= globe.on_it(found.boxes)
    return ready, extents.of_boxes(found.boxes[ready])


def _joined(whole: CleanGeometry, ready: np.ndarray, others: CleanGeometry) -> CleanGeometry:
    """The ready rows as they are, with what cleaning the others made of them in their places."""
    keep = ready.copy()
    keep[~ready] = True if others.keep is None else others.keep
    geometry = pc.replace_with_mask(whole.geometry, pa.array(keep & ~ready), others.geometry)
    bounds = extents.together((whole.bounds, others.bounds))
    return _of_kept(geometry, keep, bounds)


def _points(
    column: pa.Array, x: np.ndarray, y: np.ndarray, ids: np.ndarray, target: GeometryTarget, findings: Findings
) -> CleanGeometry:
    if target.transformer is not None:
        x, y = target.transformer.transform(x, y)
        column = wkb.from_points(x, y)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    findings.add(FindingCode.UNREADABLE_GEOMETRY, int(lost.sum()), ids[lost])
    if target.degrees:
        globe.check_points(x[~lost], y[~lost], ids[~lost], findings)
    return _of_kept(column, ~lost, extents.of_points(x[~lost], y[~lost]))


def _any(column: pa.Array, ids: np.ndarray, target: GeometryTarget, findings: Findings) -> CleanGeometry:
    batch = repair.parsed(column, ids, findings)
    measured = shapely.has_m(batch.shapes)
    repair.drop_measures(batch, measured)
    if not target.has_m:
        batch.count(FindingCode.M_DROPPED, measured & batch.keep)
    if target.geojson and not target.options.orient_rings:
        rings.check(batch)
    repair.validate(batch, target.on_invalid)
    if target.transformer is not None:
        reshaping.reproject(batch, target.transformer)
    reshaping.apply_options(batch, target.options)
    if target.degrees:
        globe.check(batch, split=target.options.split_antimeridian)
    if target.options.orient_rings:
        rings.orient(batch)
    reshaping.align_z(batch, target.has_z)
    batch.leave_out(FindingCode.UNLIKE_GEOMETRY, batch.keep & ~_fits(batch.shapes, target.family))
    kept = batch.kept()
    geometry = _with_measures(kept, measured[batch.keep], target) if target.has_m else kept.written()
    return CleanGeometry(
        geometry, None if batch.keep.all() else batch.keep, extents.of_boxes(shapely.bounds(kept.shapes))
    )


def _of_kept(column: pa.Array, keep: np.ndarray, bounds: Bounds | None) -> CleanGeometry:
    if keep.all():
        return CleanGeometry(column, None, bounds)
    return CleanGeometry(column.filter(pa.array(keep)), keep, bounds)


_FAMILY_TYPES = {
    "Point": (0,),
    "MultiPoint": (0, 4),
    "MultiLineString": (1, 5),
    "MultiPolygon": (3, 6),
}


def _fits(shapes: np.ndarray, family: str) -> np.ndarray:
    # A collection and a column of any geometry take every type.
    fits: np.ndarray = np.isin(shapely.get_type_id(shapes), _FAMILY_TYPES.get(family, tuple(range(8))))
    return fits


def _with_measures(kept: Shapes, measured: np.ndarray, target: GeometryTarget) -> pa.Array:
    exact = measured & ~kept.reshaped
    kept.count(FindingCode.M_FILLED, ~exact)
    move = None if target.transformer is None else target.transformer.transform
    found = np.empty(len(exact), object)
    for rows, column, moved in ((exact, kept.column, move), (~exact, kept.written(), None)):
        made = measures.rewritten(column.filter(pa.array(rows)), target.has_z, moved)
        found[rows] = made.to_numpy(zero_copy_only=False)
    return pa.array(found, pa.binary())


def _promoted(geometry: pa.Array, ids: np.ndarray, target: GeometryTarget, findings: Findings) -> pa.Array:
    types = wkb.kinds(geometry)
    if target.family.startswith("Multi"):
        single = np.isin(types, (1, 2, 3))
    elif target.family == "GeometryCollection":
        single = types != 7
    else:
        return geometry
    findings.add(FindingCode.PROMOTED_TO_MULTI, int(single.sum()), ids[single])
    return wkb.promoted(geometry, single, target.family, target.has_z, target.has_m)
