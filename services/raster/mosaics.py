"""A MosaicJSON (0.0.3) of a collection: which COGs lie under which tile, written to storage beside them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import morecantile
from pydantic import JsonValue

from core.contracts.catalog import CatalogMember
from core.contracts.context import TaskContext
from core.contracts.effects import MOSAIC_ASSET, MosaicFile, StacJson
from core.contracts.raster import COG_CONTAINER, Bounds
from core.contracts.raster_collection import MosaicSummary
from core.naming import immutable_name, slug

MEDIA_TYPE = "application/json"
_TILES = morecantile.tms.get("WebMercatorQuad")
_LATITUDE = 85.051
_TILE = 256
#: Times that a COG may be listed under a tile, all COGs together.
MOST_ENTRIES = 100_000
#: A file that nobody refers to and that is younger than this may belong to a job that has not committed yet.
_SETTLED = timedelta(hours=1)
_OURS = re.compile(r"mosaic-[0-9a-f]{16}\.json")


def mosaic_file(
    ctx: TaskContext, collection_id: str, items: Sequence[StacJson], *, wanted: bool, maxzoom: int | None = None
) -> tuple[MosaicFile | None, MosaicSummary | None]:
    """The MosaicJSON of a collection with these items added: when it is wanted, or the collection has one already."""
    stored = cast("dict[str, dict[str, str]]", (ctx.catalog.collection(collection_id) or {}).get("assets", {}))
    if not wanted and MOSAIC_ASSET not in stored:
        return None, None
    members = {member.item_id: member for member in ctx.catalog.members(collection_id)}
    members |= {member.item_id: member for member in map(_member, items)}
    return _written(ctx, collection_id, members, stored, maxzoom)


def mosaic_without(ctx: TaskContext, collection_id: str, item_id: str) -> MosaicFile | None:
    """The MosaicJSON of a collection that has one, without an item; None also when no other item is left."""
    stored = cast("dict[str, dict[str, str]]", (ctx.catalog.collection(collection_id) or {}).get("assets", {}))
    members = {member.item_id: member for member in ctx.catalog.members(collection_id) if member.item_id != item_id}
    if MOSAIC_ASSET not in stored or not members:
        return None
    return _written(ctx, collection_id, members, stored, None)[0]


def _written(
    ctx: TaskContext,
    collection_id: str,
    members: Mapping[str, CatalogMember],
    stored: dict[str, dict[str, str]],
    maxzoom: int | None,
) -> tuple[MosaicFile, MosaicSummary]:
    document = mosaicjson(collection_id, members.values(), maxzoom)
    data = json.dumps(document, separators=(",", ":")).encode()
    name = immutable_name(COG_CONTAINER, _folder(collection_id), "mosaic", hashlib.sha256(data).hexdigest(), ".json")
    ctx.storage.put(data, name, content_type=MEDIA_TYPE)
    href = ctx.storage.href(name)
    _tidy(ctx, collection_id, {name.path, *_path(ctx, stored)})
    asset: dict[str, JsonValue] = {
        "href": href,
        "type": MEDIA_TYPE,
        "title": "MosaicJSON of all items",
        "roles": ["mosaic", "index"],
        "app:members": members_digest(members.values()),
    }
    summary = MosaicSummary(
        container=name.container,
        blob_path=name.path,
        url=href,
        bounds=cast("Bounds", tuple(cast("list[float]", document["bounds"]))),
        tile_count=len(cast("dict[str, JsonValue]", document["tiles"])),
        minzoom=cast("int", document["minzoom"]),
        maxzoom=cast("int", document["maxzoom"]),
    )
    return MosaicFile(asset, frozenset(member.href for member in members.values())), summary


def members_digest(members: Iterable[CatalogMember]) -> str:
    """Which items a mosaic shows, for the comparison that looks whether they are still the collection's."""
    lines = sorted((member.item_id, member.href) for member in members)
    return hashlib.sha256("\n".join(f"{item} {href}" for item, href in lines).encode()).hexdigest()


def mosaicjson(name: str, members: Iterable[CatalogMember], maxzoom: int | None = None) -> dict[str, JsonValue]:
    """The document. Its quadkeys are of the zoom at which the finest COG is a few tiles large, or of a coarser one.

    A coarser one where a COG of a whole continent beside that would lie under millions of tiles.
    """
    ordered = sorted(members, key=lambda member: member.item_id)
    finest = max((_zooms(member) for member in ordered), key=lambda zooms: zooms[1])
    top = finest[1] if maxzoom is None else maxzoom
    minzoom = min(finest[0], top)
    while minzoom > 0 and sum(_count(member, minzoom) for member in ordered) > MOST_ENTRIES:
        minzoom -= 1
    tiles: dict[str, list[str]] = {}
    for member in ordered:
        for west, south, east, north in _pieces(member.bbox):
            for tile in _TILES.tiles(west, south, east, north, [minzoom]):
                tiles.setdefault(_TILES.quadkey(tile), []).append(member.href)
    west, south, east, north = _union([piece for member in ordered for piece in _pieces(member.bbox)])
    return {
        "mosaicjson": "0.0.3",
        "name": name,
        "minzoom": minzoom,
        "maxzoom": top,
        "quadkey_zoom": minzoom,
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, minzoom],
        "tiles": cast("JsonValue", dict(sorted(tiles.items()))),
    }


def _count(member: CatalogMember, zoom: int) -> int:
    """How many tiles a COG lies under."""
    total = 0
    for west, south, east, north in _pieces(member.bbox):
        first, last = _TILES.tile(west, north, zoom), _TILES.tile(east, south, zoom)
        total += (last.x - first.x + 1) * (last.y - first.y + 1)
    return total


def _zooms(member: CatalogMember) -> tuple[int, int]:
    """The zoom at which the COG fits about one tile, and that of its own resolution."""
    pieces = _pieces(member.bbox)
    degrees = sum(east - west for west, _, east, _ in pieces)
    width = member.width or _TILE
    top = max(0, min(24, math.ceil(math.log2(360.0 * width / (_TILE * max(degrees, 1e-9))))))
    return max(0, top - max(0, math.ceil(math.log2(width / _TILE)))), top


def _pieces(bbox: Bounds) -> list[Bounds]:
    """The bbox inside the tiled world; two parts when it crosses the antimeridian."""
    west, south, east, north = bbox
    south, north = max(south, -_LATITUDE), min(north, _LATITUDE)
    return [(west, south, east, north)] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _union(boxes: Sequence[Bounds]) -> Bounds:
    wests, souths, easts, norths = zip(*boxes, strict=True)
    return min(wests), min(souths), max(easts), max(norths)


def _member(item: StacJson) -> CatalogMember:
    properties, assets = cast("dict[str, JsonValue]", item["properties"]), cast("dict[str, JsonValue]", item["assets"])
    shape = cast("list[int] | None", properties.get("proj:shape"))
    return CatalogMember(
        str(item["id"]),
        cast("Bounds", tuple(cast("list[float]", item["bbox"]))),
        str(cast("dict[str, JsonValue]", assets["data"])["href"]),
        shape[1] if shape else None,
    )


def _folder(collection_id: str) -> str:
    """A folder without COGs, and of this collection alone: ids that differ may share a slug."""
    return f"_mosaics/{slug(collection_id)[:100]}-{hashlib.sha256(collection_id.encode()).hexdigest()[:8]}"


def _path(ctx: TaskContext, assets: dict[str, dict[str, str]]) -> set[str]:
    name = ctx.storage.parse_href(assets[MOSAIC_ASSET]["href"]) if MOSAIC_ASSET in assets else None
    return {name.path} if name else set()


def _tidy(ctx: TaskContext, collection_id: str, kept: set[str]) -> None:
    """Delete what earlier changes of the collection left, but nothing that a job may be about to refer to."""
    settled, folder = datetime.now(UTC) - _SETTLED, f"{_folder(collection_id)}/"
    for blob in list(ctx.storage.list(COG_CONTAINER, folder)):
        ours = _OURS.fullmatch(blob.name.path.removeprefix(folder))
        if ours and blob.name.path not in kept and blob.last_modified < settled:
            ctx.storage.delete(blob.name)
