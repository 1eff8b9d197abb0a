"""Where on Earth is a grid? Its outline in EPSG:4326, with the antimeridian and the poles thought of."""

from __future__ import annotations

import math
import re

import numpy as np
from pydantic import JsonValue
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_transform
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box, mapping
from shapely.geometry.base import BaseGeometry

from core.contracts.raster import Bounds
from core.errors import InvalidRaster

WGS84 = CRS.from_epsg(4326)
_POINTS_PER_EDGE = 21
_DEGREES = 7  # decimals kept: a centimetre
_SEMI_MAJOR = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([0-9.]+)')

Transform = tuple[float, float, float, float, float, float]


def on_earth(crs: CRS) -> bool:
    """False for a CRS of another celestial body, by the size of its ellipsoid."""
    found = _SEMI_MAJOR.search(crs.to_wkt())
    return found is None or 6.2e6 < float(found.group(1)) < 6.5e6


def footprint(
    crs: CRS, transform: Transform, width: int, height: int, label: str
) -> tuple[dict[str, JsonValue], Bounds]:
    """GeoJSON outline and bbox in degrees; bbox has west > east, and the outline two parts, across the antimeridian."""
    edge = np.linspace(0.0, 1.0, _POINTS_PER_EDGE)
    zero, one = np.zeros_like(edge), np.ones_like(edge)
    columns, rows = (np.concatenate(sides) for sides in ((edge, one, edge[::-1], zero), (zero, edge, one, edge[::-1])))
    ring = np.column_stack([columns, rows])
    lon, lat = _degrees(crs, transform, ring * [width, height])
    if not np.isfinite(lon).all():
        return _from_inside(crs, transform, width, height, label)
    lon = np.degrees(np.unwrap(np.radians(lon)))
    if abs(lon[0] - lon[-1]) > 1.0:  # the outline goes round a pole
        south, north = (-90.0, float(lat.max())) if lat.mean() < 0 else (float(lat.min()), 90.0)
        return _shape(box(-180.0, south, 180.0, north)), _rounded((-180.0, south, 180.0, north))
    return _outline(lon, np.clip(lat, -90.0, 90.0))


def _degrees(crs: CRS, transform: Transform, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f = transform
    x, y = a * pixels[:, 0] + b * pixels[:, 1] + c, d * pixels[:, 0] + e * pixels[:, 1] + f
    try:
        lon, lat = warp_transform(crs, WGS84, x.tolist(), y.tolist())
    except (RasterioError, CPLE_BaseError):
        # One point outside the projection's domain fails the whole call.
        lon, lat = np.full(len(x), np.inf), np.full(len(x), np.inf)
        for i in range(len(x)):
            try:
                (lon[i],), (lat[i],) = warp_transform(crs, WGS84, [float(x[i])], [float(y[i])])
            except (RasterioError, CPLE_BaseError):
                continue
    return np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)


def _from_inside(
    crs: CRS, transform: Transform, width: int, height: int, label: str
) -> tuple[dict[str, JsonValue], Bounds]:
    """Corners that lie outside the projection's domain: the box around the pixels that do lie in it."""
    steps = np.linspace(0.0, 1.0, 2 * _POINTS_PER_EDGE)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    lon, lat = _degrees(crs, transform, grid * [width, height])
    seen = np.isfinite(lon) & np.isfinite(lat)
    if not seen.any():
        raise InvalidRaster(
            f"{label} cannot be placed on Earth: no pixel has a longitude and latitude.",
            hint="Check its CRS and its transform, or give the right CRS as input_crs after removing the wrong one.",
        )
    west, south, east, north = lon[seen].min(), lat[seen].min(), lon[seen].max(), lat[seen].max()
    bbox = _rounded((max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)))
    return _shape(box(*bbox)), bbox


def _outline(lon: np.ndarray, lat: np.ndarray) -> tuple[dict[str, JsonValue], Bounds]:
    south, north = float(lat.min()), float(lat.max())
    lon = lon - 360.0 * math.floor((float(lon.min()) + 180.0) / 360.0)
    # A grid whose pixels are centred on -180 sticks out by half a pixel on one side.
    if float(lon.max()) - float(lon.min()) >= 360.0 - 1e-6:
        return _shape(box(-180.0, south, 180.0, north)), _rounded((-180.0, south, 180.0, north))
    polygon = Polygon(np.column_stack([lon, lat]))
    if not polygon.is_valid:
        polygon = polygon.buffer(0)
    west, east = float(lon.min()), float(lon.max())
    if east <= 180.0 + 1e-9:
        return _shape(polygon), _rounded((west, south, min(east, 180.0), north))
    near = polygon.intersection(box(-180.0, -90.0, 180.0, 90.0))
    far = translate(polygon.intersection(box(180.0, -90.0, 540.0, 90.0)), xoff=-360.0)
    parts = [part for side in (near, far) for part in getattr(side, "geoms", [side]) if part.area > 0]
    return _shape(MultiPolygon(parts)), _rounded((west, south, east - 360.0, north))


def _shape(geometry: BaseGeometry) -> dict[str, JsonValue]:
    return {"type": geometry.geom_type, "coordinates": _listed(mapping(geometry)["coordinates"])}


def _listed(value: object) -> JsonValue:
    if isinstance(value, tuple | list):
        return [_listed(part) for part in value]
    assert isinstance(value, float | int)
    return round(float(value), _DEGREES)


def _rounded(bounds: tuple[float, float, float, float]) -> Bounds:
    west, south, east, north = (round(float(value), _DEGREES) for value in bounds)
    return west, south, east, north
