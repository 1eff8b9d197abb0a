"""Geometries made fit for the table: whole, valid, of one type and in its CRS; every change counted.

Points stay points unless the layer also has multipoints; lines and polygons are always stored as Multi. Rings keep
the direction they have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyproj
import shapely

from core.contracts.vector import FindingCode, GeometryOptions, OnInvalid
from core.errors import InvalidGeometry
from services.vector import wkb
from services.vector.findings import Findings

#: A little more than the globe: 180.00000000000003 is a rounding, not a mistake.
_MAX_X, _MAX_Y = 180 + 1e-9, 90 + 1e-9


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


@dataclass(frozen=True)
class CleanGeometry:
    """WKB of the rows that stay, and which rows those are; None for all of them."""

    geometry: pa.Array
    keep: np.ndarray | None


def cleaned(column: pa.Array, ids: np.ndarray, target: GeometryTarget, findings: Findings) -> CleanGeometry:
    """Clean one batch. `ids` are the rows' feature ids."""
    column = wkb.bytes_of(column)
    if target.family == "Point" and not target.has_z and target.options.quantize is None:
        coordinates = wkb.points(column)
        if coordinates is not None and np.isfinite(coordinates[0]).all() and np.isfinite(coordinates[1]).all():
            return _points(column, *coordinates, ids, target, findings)
    return _any(column, ids, target, findings)


def _points(
    column: pa.Array, x: np.ndarray, y: np.ndarray, ids: np.ndarray, target: GeometryTarget, findings: Findings
) -> CleanGeometry:
    if target.transformer is not None:
        x, y = target.transformer.transform(x, y)
        column = wkb.from_points(x, y)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    findings.add(FindingCode.UNREADABLE_GEOMETRY, int(lost.sum()), ids[lost])
    if target.degrees:
        outside = (np.abs(x) > _MAX_X) | (np.abs(y) > _MAX_Y)
        findings.add(FindingCode.COORDINATES_OUT_OF_RANGE, int((outside & ~lost).sum()), ids[outside & ~lost])
    if not lost.any():
        return CleanGeometry(column, None)
    return CleanGeometry(column.filter(pa.array(~lost)), ~lost)


def _any(column: pa.Array, ids: np.ndarray, target: GeometryTarget, findings: Findings) -> CleanGeometry:
    shapes, changed, keep = _parsed(column, ids, findings)
    _repair(shapes, changed, keep, ids, findings)
    if target.transformer is not None:
        _reproject(shapes, keep, target.transformer, ids, findings)
        changed[:] = True
    _apply_options(shapes, changed, keep, target.options, ids, findings)
    _align_z(shapes, changed, keep, target.has_z, ids, findings)
    if target.degrees:
        _count_outside(shapes, keep, ids, findings)
    if not keep.all():
        column, shapes, changed, ids = column.filter(pa.array(keep)), shapes[keep], changed[keep], ids[keep]
    _require_family(shapes, ids, target.family)
    geometry = _written(column, shapes, changed)
    if target.family.startswith("Multi"):
        geometry = _promote(geometry, shapes, target, ids, findings)
    return CleanGeometry(geometry, None if keep.all() else keep)


_FAMILY_TYPES = {
    "Point": (0,),
    "MultiPoint": (0, 4),
    "MultiLineString": (1, 5),
    "MultiPolygon": (3, 6),
    "GeometryCollection": (7,),
    "Geometry": tuple(range(8)),
}


def _require_family(shapes: np.ndarray, ids: np.ndarray, family: str) -> None:
    unlike = ~np.isin(shapely.get_type_id(shapes), _FAMILY_TYPES[family])
    if unlike.any():
        first = int(np.flatnonzero(unlike)[0])
        raise InvalidGeometry(
            f"Feature {ids[first]} is a {shapes[first].geom_type} in a layer declared to hold {family} only.",
            hint="Correct the layer's declared geometry type.",
        )


def _parsed(column: pa.Array, ids: np.ndarray, findings: Findings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shapes, which differ from the column's bytes, and which can be stored."""
    raw = column.to_numpy(zero_copy_only=False)
    null = np.asarray(column.is_null())
    shapes = shapely.from_wkb(raw, on_invalid="ignore")
    changed = np.zeros(len(shapes), bool)
    unparsed = shapely.is_missing(shapes) & ~null
    if unparsed.any():
        # An unclosed ring, mostly: GEOS can close it.
        shapes[unparsed] = shapely.from_wkb(raw[unparsed], on_invalid="fix")
        closed = unparsed & ~shapely.is_missing(shapes)
        changed |= closed
        findings.add(FindingCode.REPAIRED_GEOMETRY, int(closed.sum()), ids[closed])
    unreadable = shapely.is_missing(shapes) & ~null
    measured = shapely.has_m(shapes)
    if measured.any():
        _drop_measures(shapes, measured)
        changed |= measured
        findings.add(FindingCode.M_DROPPED, int(measured.sum()), ids[measured])
    empty = shapely.is_empty(shapes)
    findings.add(FindingCode.NULL_GEOMETRY, int(null.sum()), ids[null])
    findings.add(FindingCode.UNREADABLE_GEOMETRY, int(unreadable.sum()), ids[unreadable])
    findings.add(FindingCode.EMPTY_GEOMETRY, int(empty.sum()), ids[empty])
    return shapes, changed, ~(null | unreadable | empty)


def _drop_measures(shapes: np.ndarray, measured: np.ndarray) -> None:
    for has_z in (False, True):
        chosen = measured & (shapely.has_z(shapes) == has_z)
        plain = shapely.to_wkb(shapes[chosen], output_dimension=3 if has_z else 2, flavor="iso")
        shapes[chosen] = shapely.from_wkb(plain)


def _repair(shapes: np.ndarray, changed: np.ndarray, keep: np.ndarray, ids: np.ndarray, findings: Findings) -> None:
    bad = keep & ~shapely.is_valid(shapes)
    # A line without length has no valid form of its kind; its attributes are worth more than that.
    degenerate = bad & (shapely.get_type_id(shapes) == 1) & (shapely.length(shapes) == 0)
    findings.add(FindingCode.DEGENERATE_LINE, int(degenerate.sum()), ids[degenerate])
    bad &= ~degenerate
    if not bad.any():
        return
    shapes[bad] = shapely.make_valid(_finite(shapes[bad]), method="structure", keep_collapsed=False)
    _keep_family(shapes, bad)
    lost = bad & (shapely.is_missing(shapes) | shapely.is_empty(shapes))
    mended = bad & ~lost
    changed |= mended
    keep &= ~lost
    findings.add(FindingCode.REPAIRED_GEOMETRY, int(mended.sum()), ids[mended])
    findings.add(FindingCode.UNREADABLE_GEOMETRY, int(lost.sum()), ids[lost])


def _finite(shapes: np.ndarray) -> np.ndarray:
    """The shapes, None for those with a coordinate that is no number: nothing can be made of them."""
    owners = shapely.get_coordinates(shapes, return_index=True)
    bad = np.unique(owners[1][~np.isfinite(owners[0]).all(axis=1)])
    result = shapes.copy()
    result[bad] = None
    return result


def _keep_family(shapes: np.ndarray, repaired: np.ndarray) -> None:
    """Of a repair that left parts of several dimensions, keep those of the highest."""
    for i in np.flatnonzero(repaired & (shapely.get_type_id(shapes) == 7)):
        parts = shapely.get_parts(shapes[i])
        dimensions = shapely.get_dimensions(parts)
        shapes[i] = shapely.union_all(parts[dimensions == dimensions.max()]) if len(parts) else None


def _reproject(
    shapes: np.ndarray, keep: np.ndarray, transformer: pyproj.Transformer, ids: np.ndarray, findings: Findings
) -> None:
    def moved(xyz: np.ndarray) -> np.ndarray:
        x, y = transformer.transform(xyz[:, 0], xyz[:, 1])
        return np.column_stack((x, y, xyz[:, 2:]))

    for dimension in (False, True):
        chosen = keep & (shapely.has_z(shapes) == dimension)
        if chosen.any():
            shapes[chosen] = shapely.transform(shapes[chosen], moved, include_z=dimension)
    lost = keep & ~np.isfinite(shapely.bounds(shapes)).all(axis=1)
    keep &= ~lost
    findings.add(FindingCode.UNREADABLE_GEOMETRY, int(lost.sum()), ids[lost])


def _apply_options(
    shapes: np.ndarray,
    changed: np.ndarray,
    keep: np.ndarray,
    options: GeometryOptions,
    ids: np.ndarray,
    findings: Findings,
) -> None:
    if options.simplify is None and options.quantize is None:
        return
    if options.simplify is not None:
        simplify = options.simplify
        shapes[keep] = shapely.simplify(shapes[keep], simplify.tolerance, preserve_topology=simplify.preserve_topology)
    if options.quantize is not None:
        shapes[keep] = shapely.set_precision(shapes[keep], options.quantize.grid_size)
    changed[keep] = True
    vanished = keep & shapely.is_empty(shapes)
    keep &= ~vanished
    findings.add(FindingCode.EMPTY_GEOMETRY, int(vanished.sum()), ids[vanished])


def _align_z(
    shapes: np.ndarray, changed: np.ndarray, keep: np.ndarray, wanted: bool, ids: np.ndarray, findings: Findings
) -> None:
    unlike = keep & (shapely.has_z(shapes) != wanted)
    if not unlike.any():
        return
    shapes[unlike] = shapely.force_3d(shapes[unlike], 0.0) if wanted else shapely.force_2d(shapes[unlike])
    changed |= unlike
    code = FindingCode.Z_FILLED if wanted else FindingCode.Z_DROPPED
    findings.add(code, int(unlike.sum()), ids[unlike])


def _count_outside(shapes: np.ndarray, keep: np.ndarray, ids: np.ndarray, findings: Findings) -> None:
    box = shapely.bounds(shapes)
    beyond = (np.abs(box[:, [0, 2]]) > _MAX_X).any(axis=1) | (np.abs(box[:, [1, 3]]) > _MAX_Y).any(axis=1)
    outside = keep & beyond
    findings.add(FindingCode.COORDINATES_OUT_OF_RANGE, int(outside.sum()), ids[outside])


def _written(column: pa.Array, shapes: np.ndarray, changed: np.ndarray) -> pa.Array:
    # Unchanged shapes keep the file's own bytes: exact, and cheaper than writing them.
    if not changed.any():
        return column
    if changed.all():
        return pa.array(shapely.to_wkb(shapes, flavor="iso", byte_order=1), pa.binary())
    raw = column.to_numpy(zero_copy_only=False).copy()
    raw[changed] = shapely.to_wkb(shapes[changed], flavor="iso", byte_order=1)
    return pa.array(raw, pa.binary())


def _promote(
    geometry: pa.Array, shapes: np.ndarray, target: GeometryTarget, ids: np.ndarray, findings: Findings
) -> pa.Array:
    single = np.isin(shapely.get_type_id(shapes), (0, 1, 3))
    findings.add(FindingCode.PROMOTED_TO_MULTI, int(single.sum()), ids[single])
    return wkb.promoted(geometry, single, target.family, target.has_z, target.has_m)
