"""What would change for the public? One revision of an item beside the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from core.contracts.evidence import Snapshot
from core.models.catalog import GeoTableCatalog
from core.models.cogs import CogMetadata

Json = dict[str, JsonValue]
_GRID = ("width", "height", "band_count", "dtype", "crs", "nodata", "resolution", "compression", "raster_type")
_TABLE = ("feature_count", "geometry_type", "srid", "primary_key")


def differences(new: Snapshot, old: Snapshot) -> Json:
    """Extent, rows or pixels, schema and statistics: `{field: {from, to}}`, only what differs."""
    found: Json = {"extent": _changed("bbox", _of(old.item, "bbox"), _of(new.item, "bbox"))}
    if new.cog is not None and old.cog is not None:
        found["pixels"] = _fields(old.cog, new.cog, _GRID)
        found["statistics"] = _statistics(old.cog, new.cog)
    if new.table is not None and old.table is not None:
        found["rows"] = _fields(old.table, new.table, _TABLE)
        found["schema"] = _columns(old.table, new.table)
    return {name: value for name, value in found.items() if value}


def _fields(old: CogMetadata | GeoTableCatalog, new: CogMetadata | GeoTableCatalog, names: tuple[str, ...]) -> Json:
    before, after = old.model_dump(mode="json", include=set(names)), new.model_dump(mode="json", include=set(names))
    changed: Json = {}
    for name in names:
        changed |= _changed(name, before[name], after[name])
    return changed


def _columns(old: GeoTableCatalog, new: GeoTableCatalog) -> Json:
    before = cast("Mapping[str, Mapping[str, JsonValue]]", old.column_definitions or {})
    after = cast("Mapping[str, Mapping[str, JsonValue]]", new.column_definitions or {})
    changed: Json = {
        name: {"from": before[name].get("type"), "to": after[name].get("type")}
        for name in sorted(before.keys() & after.keys())
        if before[name].get("type") != after[name].get("type")
    }
    lists: dict[str, list[str]] = {"added": sorted(after.keys() - before), "removed": sorted(before.keys() - after)}
    found: Json = {name: cast("JsonValue", names) for name, names in lists.items() if names}
    return found | ({"changed": changed} if changed else {})


def _statistics(old: CogMetadata, new: CogMetadata) -> Json:
    """Each band's figures that differ, by the band's number."""
    found: Json = {}
    for number, (before, after) in enumerate(zip(old.statistics or [], new.statistics or [], strict=False), start=1):
        band: Json = {}
        for name in sorted(before.keys() & after.keys()):
            if isinstance(after[name], int | float):
                band |= _changed(name, before[name], after[name])
        if band:
            found[str(number)] = band
    return found


def _changed(name: str, before: JsonValue, after: JsonValue) -> Json:
    return {} if before == after else {name: {"from": before, "to": after}}


def _of(item: Mapping[str, JsonValue] | None, name: str) -> JsonValue:
    return item.get(name) if item is not None else None
