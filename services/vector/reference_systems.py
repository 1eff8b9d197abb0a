"""In which coordinate reference system are the numbers, and how do they get into the table's?"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pyproj
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import CRSError, ProjError
from pyproj.transformer import TransformerGroup

from core.contracts.vector_findings import FindingCode
from core.errors import CrsMismatch, CrsMissing, InvalidRequest
from services.vector.findings import Findings

Bounds = tuple[float, float, float, float]
LONLAT = "EPSG:4326"
_DEGREES = np.array([180.0001, 90.0001, 180.0001, 90.0001])


@dataclass(frozen=True)
class StatedCrs:
    """What the file says. `implied` when the format prescribes it and the file itself says nothing."""

    text: str | None
    implied: bool = False


def source_crs(stated: StatedCrs, given: str | None, bounds: Bounds | None, shown: str, findings: Findings) -> str:
    """The horizontal CRS of the coordinates: the file's, else the request's, else 4326 if they look like degrees.

    Raises CrsMissing for numbers that are no degrees, CrsMismatch when the request contradicts the file.
    """
    wanted = None if given is None else _requested(given, "input_crs")
    if stated.text is not None and not (stated.implied and wanted is not None):
        found = _horizontal(_parsed(stated.text, shown))
        if wanted is not None and not same(found, _horizontal(wanted)):
            raise CrsMismatch(
                f"{shown} states {_name(found)}, the request says input_crs {given}.", hint="Leave input_crs out."
            )
        return _text(found)
    if wanted is not None:
        findings.add(FindingCode.CRS_GIVEN, 1, detail=f"The file states no CRS; input_crs {given} was used.")
        return _text(_horizontal(wanted))
    if bounds is not None and looks_like_degrees(bounds):
        findings.add(
            FindingCode.CRS_ASSUMED,
            1,
            detail=f"The file states no CRS; its coordinates, {_shown(bounds)}, were taken as EPSG:4326.",
        )
        return LONLAT
    extent = "" if bounds is None else f" and its coordinates, {_shown(bounds)}, are no degrees"
    hint = "Set input_crs, for example EPSG:32735, or add the .prj file."
    if bounds is not None and looks_like_degrees((bounds[1], bounds[0], bounds[3], bounds[2])):
        extent, hint = f"{extent}; with x and y exchanged they would be", "Exchange latitude and longitude."
    raise CrsMissing(f"{shown} states no coordinate reference system{extent}.", hint=hint)


def needs_bounds(stated: StatedCrs, given: str | None, target: str) -> bool:
    """True unless the numbers go into the table as they are: to guess their CRS, or to choose a transformation."""
    if stated.text is None and given is None:
        return True
    text = given if stated.text is None or (stated.implied and given is not None) else stated.text
    try:
        return not same(_horizontal(pyproj.CRS.from_user_input(text)), _requested(target))
    except CRSError:
        return False


def looks_like_degrees(bounds: Bounds) -> bool:
    """True when all four are plausible longitudes and latitudes."""
    return bool(are_degrees(np.array([bounds]))[0])


def are_degrees(boxes: np.ndarray) -> np.ndarray:
    """Which boxes, one a row, are plausible longitudes and latitudes."""
    found: np.ndarray = (np.abs(boxes) <= _DEGREES).all(axis=1)
    return found


def transformation(source: str, target: str, area: Bounds | None = None) -> pyproj.Transformer | None:
    """From x, y in `source` to x, y in `target`, best for `area` in degrees; None when they are the same."""
    first, second = pyproj.CRS.from_user_input(source), _requested(target)
    if same(first, second):
        return None
    try:
        interest = _interest(area)
        return pyproj.Transformer.from_crs(first, second, always_xy=True, area_of_interest=interest)  # type: ignore[arg-type]  # the stub names a private twin
    except ProjError as e:
        raise CrsMismatch(f"Coordinates in {_name(first)} cannot be transformed to {target}: {e}.") from e


def report_accuracy(source: str, target: str, area: Bounds | None, findings: Findings) -> None:
    """Say how exact the best operation between the two is there, unless it is exact."""
    first, second = pyproj.CRS.from_user_input(source), _requested(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of grids that are not installed, which is said below
        interest = _interest(area)
        group = TransformerGroup(first, second, always_xy=True, area_of_interest=interest)  # type: ignore[arg-type]  # as above
    if not group.transformers:
        return
    best = group.transformers[0]
    path = f"From {_name(first)} to {target} by {best.description!r}"
    missing = sorted({g.short_name for o in group.unavailable_operations[:1] for g in o.grids if not g.available})
    if "ballpark" in best.description.lower():
        message = f"{path}: the shift between the datums is not known, so coordinates may be off by a hundred metres."
        findings.add(FindingCode.BALLPARK_TRANSFORMATION, 1, detail=message)
    elif missing and not group.best_available:
        message = f"{path}, within {best.accuracy:g} m; a better way needs the grid {', '.join(missing)}."
        findings.add(FindingCode.TRANSFORMATION_ACCURACY, 1, detail=message)
    elif best.accuracy > 0:
        findings.add(FindingCode.TRANSFORMATION_ACCURACY, 1, detail=f"{path}, within {best.accuracy:g} m.")


def report_place(crs: str, bounds: Bounds, features: int, findings: Findings) -> None:
    """Say so when the layer lies where its CRS is not meant for, and whether it would not with x and y exchanged."""
    system = pyproj.CRS.from_user_input(crs)
    used = system.area_of_use
    if used is None or used.west > used.east or used.east - used.west > 350:
        return
    minx, miny, maxx, maxy = bounds
    if _touches(crs, bounds, used.bounds):
        return
    where = f"The coordinates, {_shown(bounds)}, lie outside the area of {_name(system)}, {used.name}"
    if _touches(crs, (miny, minx, maxy, maxx), used.bounds):
        message = f"{where}; with x and y exchanged they would lie inside."
        findings.add(FindingCode.SWAPPED_COORDINATES, features, detail=message)
    else:
        findings.add(FindingCode.OUTSIDE_CRS_AREA, features, detail=f"{where}.")


def _touches(crs: str, bounds: Bounds, used: Bounds) -> bool:
    try:
        place = place_of(bounds, crs)
    except ProjError:
        return False
    if place is None:
        return False
    west, south, east, north = place
    # Areas of use are drawn tight; a degree beyond is nothing to report.
    return west <= used[2] + 1 and east >= used[0] - 1 and south <= used[3] + 1 and north >= used[1] - 1


def _interest(area: Bounds | None) -> AreaOfInterest | None:
    return None if area is None else AreaOfInterest(*area)


def lonlat_bounds(bounds: Bounds, crs: str) -> Bounds:
    """The same box in EPSG:4326, within 180 and 90 degrees; all longitudes when it crosses the antimeridian.

    The whole globe for a box that reaches where its CRS has no place on Earth.
    """
    west, south, east, north = place_of(bounds, crs) or (-180.0, -90.0, 180.0, 90.0)
    return _clamp(west, 180.0), _clamp(south, 90.0), _clamp(east, 180.0), _clamp(north, 90.0)


def place_of(bounds: Bounds, crs: str) -> Bounds | None:
    """The box in EPSG:4326, however far it reaches; None when a corner of it has no place on Earth."""
    transformer = transformation(crs, LONLAT)
    west, south, east, north = bounds if transformer is None else transformer.transform_bounds(*bounds, densify_pts=21)
    if not math.isfinite(west + south + east + north):
        return None
    return (-180.0, south, 180.0, north) if west > east else (west, south, east, north)


def _clamp(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))


def same(first: pyproj.CRS, second: pyproj.CRS) -> bool:
    """True when x, y mean the same place in both; axis order is no difference here, as x always comes first."""
    if {first.to_authority(), second.to_authority()} <= {("OGC", "CRS84"), ("EPSG", "4326")}:
        return True
    return first.equals(second, ignore_axis_order=True)


def _requested(text: str, option: str = "target_crs") -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(text)
    except CRSError as e:
        raise InvalidRequest(f"{option} {text!r} is not a coordinate reference system.", hint="Use EPSG:<code>.") from e


def _parsed(text: str, shown: str) -> pyproj.CRS:
    try:
        crs = pyproj.CRS.from_user_input(text)
    except CRSError as e:
        raise CrsMissing(f"{shown} states a CRS that is not understood: {text[:200]!r}.", hint="Set input_crs.") from e
    if crs.is_engineering:
        raise CrsMissing(f"{shown} has local coordinates ({crs.name}) with no place on Earth.", hint="Set input_crs.")
    return crs


def _horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    return crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()


def _text(crs: pyproj.CRS) -> str:
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


def _name(crs: pyproj.CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.name


def _shown(bounds: Bounds) -> str:
    minx, miny, maxx, maxy = bounds
    return f"x {minx:.10g} to {maxx:.10g} and y {miny:.10g} to {maxy:.10g}"
