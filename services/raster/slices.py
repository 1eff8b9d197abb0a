"""What is each band of a file with more than two dimensions? Its place along them, with times as dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from rasterio.io import DatasetReader

from services.stac.properties import timestamp

_NETCDF, _ZARR = re.compile(r"^NETCDF_DIM_(.+)$"), re.compile(r"^DIM_(.+)_VALUE$")
_SINCE = re.compile(
    r"^\s*(second|minute|hour|day)s?\s+since\s+(\d{1,4}-\d{1,2}-\d{1,2})(?:[T ]+(\d{1,2}:\d{2}(?::\d{2})?))?", re.I
)
_CALENDARS = ("", "standard", "gregorian", "proleptic_gregorian")


def description(dataset: DatasetReader, band: int) -> str | None:
    """The band's own description, else where along the other dimensions it lies; None in a file of two."""
    own = dataset.descriptions[band - 1]
    if own:
        return str(own)
    places = [f"{dimension}={value}" for dimension, value in _places(dataset, band)]
    return ", ".join(places) or None


def span(dataset: DatasetReader) -> tuple[str, str] | None:
    """First and last moment of the bands, where each of them is one."""
    moments = []
    for band in dataset.indexes:
        tags = dataset.tags(band)
        valid = tags.get("GRIB_VALID_TIME", "").split()
        if valid and valid[0].isdigit():
            moments.append(timestamp(datetime.fromtimestamp(int(valid[0]), UTC)))
            continue
        times = [value for _, value in _places(dataset, band) if value.endswith("Z")]
        if not times:
            return None
        moments.append(times[0])
    return (min(moments), max(moments)) if moments else None


def _places(dataset: DatasetReader, band: int) -> Iterator[tuple[str, str]]:
    tags, shared = dataset.tags(band), dataset.tags()
    for tag, value in tags.items():
        if found := _NETCDF.match(tag):
            name = found[1]
            yield name, _value(value, shared.get(f"{name}#units", ""), shared.get(f"{name}#calendar", ""))
        elif found := _ZARR.match(tag):
            name = found[1]
            yield name, _value(value, tags.get(f"DIM_{name}_UNIT", ""), _calendar(tags, name))


def _calendar(tags: Mapping[str, str], name: str) -> str:
    return tags.get(f"DIM_{name}_CALENDAR", "")


def _value(text: str, units: str, calendar: str) -> str:
    """A time as a date; other values with their units."""
    since = _SINCE.match(units)
    if since is None or calendar.lower() not in _CALENDARS:
        return f"{text} {units}".strip()
    unit, day, clock = since.groups()
    try:
        year, month, date = (int(part) for part in day.split("-"))
        hour, minute, second = (int(part) for part in f"{clock or '0:0'}:0".split(":")[:3])
        start = datetime(year, month, date, hour, minute, second, tzinfo=UTC)
        moment = start + timedelta(**{f"{unit.lower()}s": float(text)})
    except (ValueError, OverflowError):
        return f"{text} {units}".strip()
    return timestamp(moment)
