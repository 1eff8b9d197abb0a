"""How does a collection's extent grow when an item joins it?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from pydantic import JsonValue

Json = dict[str, JsonValue]


def widened(collection: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> Json:
    """The first collection with an extent that also covers the second's. Extents only grow."""
    ours, theirs = (cast("dict[str, dict[str, list[list[float]]]]", c["extent"]) for c in (collection, other))
    a, b = ours["spatial"]["bbox"][0], theirs["spatial"]["bbox"][0]
    half = len(a) // 2
    low = [min(pair) for pair in zip(a[:half], b[:half], strict=True)]
    high = [max(pair) for pair in zip(a[half:], b[half:], strict=True)]
    interval = _interval(
        cast("list[str | None]", ours["temporal"]["interval"][0]),
        cast("list[str | None]", theirs["temporal"]["interval"][0]),
    )
    extent = {"spatial": {"bbox": [[*low, *high]]}, "temporal": {"interval": [interval]}}
    return {**collection, "extent": cast("JsonValue", extent)}


def with_item(collection: Mapping[str, JsonValue], item: Mapping[str, JsonValue]) -> Json:
    """The collection with an extent that also covers an item; across the antimeridian that is all longitudes."""
    box = cast("list[float]", item["bbox"])
    west, south, east, north = box if len(box) == 4 else (box[0], box[1], box[3], box[4])
    if west > east:
        west, east = -180.0, 180.0
    properties = cast("dict[str, str | None]", item["properties"])
    start = properties.get("start_datetime") or properties["datetime"]
    end = properties.get("end_datetime") or properties["datetime"]
    extent = {"spatial": {"bbox": [[west, south, east, north]]}, "temporal": {"interval": [[start, end]]}}
    return widened(collection, {"extent": cast("JsonValue", extent)})


def _interval(a: list[str | None], b: list[str | None]) -> list[str | None]:
    """Null is open-ended and stays so."""
    start = None if a[0] is None or b[0] is None else min(a[0], b[0], key=datetime.fromisoformat)
    end = None if a[1] is None or b[1] is None else max(a[1], b[1], key=datetime.fromisoformat)
    return [start, end]
