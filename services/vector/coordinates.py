"""Geometry of tables that hold it as coordinate or WKT columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from core.errors import ColumnsMissing
from services.vector import wkb
from services.vector.columns import require_columns

_LATITUDES = ("latitude", "lat", "lat_dd", "latitude_dd", "decimallatitude", "ycoord", "y_coord", "y")
_LONGITUDES = (
    "longitude",
    "lon",
    "lng",
    "long",
    "lon_dd",
    "longitude_dd",
    "decimallongitude",
    "xcoord",
    "x_coord",
    "x",
)
_WKT = ("wkt", "geometry_wkt", "geom_wkt", "wkt_geom", "wkb", "wkb_geometry", "geometry", "geom", "the_geom", "shape")
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


@dataclass(frozen=True)
class CoordinateColumns:
    """Where the geometry is: two numbers, or one text, WKT or WKB in hexadecimal digits."""

    lat: str | None = None
    lon: str | None = None
    wkt: str | None = None


def find(names: Sequence[str], lat: str | None, lon: str | None, wkt: str | None, shown: str) -> CoordinateColumns:
    """The named columns, else those with a usual name. Raises ColumnsMissing listing what there is."""
    if wkt is not None:
        require_columns([wkt], names, shown, "wkt_column")
        return CoordinateColumns(wkt=wkt)
    if lat is not None and lon is not None:
        require_columns([lat, lon], names, shown, "lat_name and lon_name")
        return CoordinateColumns(lat, lon)
    by_name = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    found_lat = next((by_name[n] for n in _LATITUDES if n in by_name), None)
    found_lon = next((by_name[n] for n in _LONGITUDES if n in by_name), None)
    if found_lat is not None and found_lon is not None:
        return CoordinateColumns(found_lat, found_lon)
    found_wkt = next((by_name[n] for n in _WKT if n in by_name), None)
    if found_wkt is not None:
        return CoordinateColumns(wkt=found_wkt)
    raise ColumnsMissing(
        f"{shown} has no columns that hold coordinates; it has {', '.join(names[:40])}.",
        hint="Set lat_name and lon_name, or wkt_column.",
    )


def geometry(batch: pa.RecordBatch, where: CoordinateColumns) -> pa.Array:
    """WKB of each row; null where the coordinates are missing, of no bytes where they cannot be read."""
    if where.wkt is not None:
        texts = [(text or "").strip() for text in batch.column(where.wkt).cast(pa.string()).to_pylist()]
        return pa.array(_from_texts(texts), pa.binary())
    x, y = positions(batch, where)
    missing = ~(np.isfinite(x) & np.isfinite(y))
    found = wkb.from_points(x, y, missing)
    if not missing.any():
        return found
    unread = missing & _filled(batch.column(where.lat)) & _filled(batch.column(where.lon))
    return pc.if_else(pa.array(unread), pa.scalar(b"", pa.binary()), found)


def positions(batch: pa.RecordBatch, where: CoordinateColumns) -> tuple[np.ndarray, np.ndarray]:
    """x and y of each row of a table with a column for each; no numbers where there are none."""
    return _numbers(batch.column(where.lon)), _numbers(batch.column(where.lat))


def _from_texts(texts: list[str]) -> np.ndarray:
    digits = np.array([text[:2] in ("00", "01") for text in texts], bool)
    plain = np.array([None if not text else _without_srid(text) for text in texts], object)
    found: np.ndarray = np.full(len(texts), None, object)
    found[~digits] = shapely.to_wkb(shapely.from_wkt(plain[~digits], on_invalid="ignore"), flavor="iso")
    for i in np.flatnonzero(digits):
        found[i] = _from_digits(texts[i])
    found[[bool(text) and raw is None for text, raw in zip(texts, found, strict=True)]] = b""
    return found


def _from_digits(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _filled(column: pa.Array) -> np.ndarray:
    """Where cells hold something."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        length = pc.utf8_length(pc.utf8_trim_whitespace(column))
        filled = pc.fill_null(pc.greater(length, 0), False)
    else:
        filled = column.is_valid()
    found: np.ndarray = filled.to_numpy(zero_copy_only=False)
    return found


def _without_srid(text: str) -> str:
    return text.split(";", 1)[1] if text[:5].upper() == "SRID=" and ";" in text else text


def _numbers(column: pa.Array) -> np.ndarray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        readable = pc.fill_null(pc.match_substring_regex(column, _NUMBER), False)
        column = pc.utf8_trim_whitespace(pc.if_else(readable, column, pa.scalar(None, column.type)))
    numbers: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers
