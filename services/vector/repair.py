"""Geometries read from their bytes and made valid, skipped or refused, as the request wants."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import shapely

from core.contracts.vector import OnInvalid
from core.contracts.vector_findings import FindingCode
from core.errors import InvalidGeometry
from services.vector.findings import Findings
from services.vector.shapes import Shapes, coordinates

#: A repair that changes less of the area than this is a rounding.
_SAME_AREA = 1e-9
_WORTH_A_THREAD = 100


def parsed(column: pa.Array, ids: np.ndarray, findings: Findings) -> Shapes:
    """Shapes of a column without nulls; those that are empty or beyond repair are counted and not kept."""
    raw = column.to_numpy(zero_copy_only=False)
    shapes = shapely.from_wkb(raw, on_invalid="ignore")
    unparsed = shapely.is_missing(shapes)
    none, every = np.zeros(len(shapes), bool), np.ones(len(shapes), bool)
    # An SRID in the bytes may be another than the table's, which PostGIS would refuse: it is not written again.
    batch = Shapes(column, shapes, shapely.get_srid(shapes) > 0, none, every, ids, findings)
    if unparsed.any():
        # An unclosed ring, mostly: GEOS can close it.
        shapes[unparsed] = shapely.from_wkb(raw[unparsed], on_invalid="fix")
        closed = unparsed & ~shapely.is_missing(shapes)
        batch.replace(closed, shapes[closed])
        batch.count(FindingCode.REPAIRED_GEOMETRY, closed)
    batch.leave_out(FindingCode.UNREADABLE_GEOMETRY, shapely.is_missing(shapes))
    batch.leave_out(FindingCode.EMPTY_GEOMETRY, shapely.is_empty(shapes))
    return batch


def drop_measures(batch: Shapes, measured: np.ndarray) -> None:
    """Take the measures of the chosen rows away: the steps after this know x, y and z."""
    for has_z in (False, True) if measured.any() else ():
        chosen = measured & (shapely.has_z(batch.shapes) == has_z)
        plain = shapely.to_wkb(batch.shapes[chosen], output_dimension=3 if has_z else 2, flavor="iso")
        batch.shapes[chosen] = shapely.from_wkb(plain)
    batch.changed |= measured


def validate(batch: Shapes, on_invalid: OnInvalid) -> None:
    """Bring the kept shapes to validity. Raises InvalidGeometry when the request wants none repaired or skipped."""
    shapes = batch.shapes
    bad = batch.keep & ~_valid(shapes)
    if not bad.any():
        return
    # A line without length has no valid form of its kind; its attributes are worth more than that.
    degenerate = bad.copy()
    degenerate[bad] = (shapely.get_type_id(shapes[bad]) == 1) & (shapely.length(shapes[bad]) == 0)
    batch.count(FindingCode.DEGENERATE_LINE, degenerate)
    bad &= ~degenerate
    if not bad.any():
        return
    if on_invalid is OnInvalid.FAIL:
        _refuse(batch, bad)
    if on_invalid is OnInvalid.SKIP:
        batch.leave_out(FindingCode.INVALID_SKIPPED, bad)
        return
    _mend(batch, bad)


def _valid(shapes: np.ndarray) -> np.ndarray:
    # Most of the work on polygons, done without Python's lock: half of it in another thread.
    half = len(shapes) // 2
    if half < _WORTH_A_THREAD:
        alone: np.ndarray = shapely.is_valid(shapes)
        return alone
    with ThreadPoolExecutor(1) as other:
        first = other.submit(shapely.is_valid, shapes[:half])
        last = shapely.is_valid(shapes[half:])
        found: np.ndarray = np.concatenate((first.result(), last))
    return found


def _mend(batch: Shapes, bad: np.ndarray) -> None:
    before = shapely.area(batch.shapes[bad])
    batch.shapes[bad] = shapely.make_valid(_finite(batch.shapes[bad]), method="structure", keep_collapsed=False)
    _keep_family(batch.shapes, bad)
    lost = bad & (shapely.is_missing(batch.shapes) | shapely.is_empty(batch.shapes))
    mended = bad & ~lost
    batch.replace(mended, batch.shapes[mended])
    batch.count(FindingCode.REPAIRED_GEOMETRY, mended)
    batch.leave_out(FindingCode.UNREADABLE_GEOMETRY, lost)
    after = shapely.area(batch.shapes[bad])
    with np.errstate(invalid="ignore", divide="ignore"):
        change = np.where(before > 0, (after - before) / before, np.where(after > 0, np.inf, 0))
    other = mended.copy()
    other[bad] &= np.abs(change) > _SAME_AREA
    batch.count(FindingCode.AREA_CHANGED, other, np.nan_to_num(change[other[bad]], posinf=1.0))


def _refuse(batch: Shapes, bad: np.ndarray) -> None:
    first = int(np.flatnonzero(bad)[0])
    raise InvalidGeometry(
        f"Feature {batch.ids[first]} is not valid: {shapely.is_valid_reason(batch.shapes[first])}.",
        hint="Correct it, or set on_invalid to repair or skip.",
    )


def _finite(shapes: np.ndarray) -> np.ndarray:
    """The shapes, None for those with a coordinate that is no number: nothing can be made of them."""
    found, owners = coordinates(shapes)
    bad = np.unique(owners[~np.isfinite(found).all(axis=1)])
    result = shapes.copy()
    result[bad] = None
    return result


def _keep_family(shapes: np.ndarray, repaired: np.ndarray) -> None:
    """Of a repair that left parts of several dimensions, keep those of the highest."""
    for i in np.flatnonzero(repaired & (shapely.get_type_id(shapes) == 7)):
        parts = shapely.get_parts(shapes[i])
        dimensions = shapely.get_dimensions(parts)
        shapes[i] = shapely.union_all(parts[dimensions == dimensions.max()]) if len(parts) else None
