"""What a stored STAC object looks like to a client: addresses it can open, and links to the services on it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from triggers.web.mounts import MountSettings
from triggers.web.renders import cog_asset, render_names

Json = dict[str, object]

TILES = "WebMercatorQuad"
_THUMBNAIL = 256
_PREVIEW = 512
_OURS = frozenset({"preview", "tilejson", "tiles", "info", "features"})
_TABLES = ("postgis://", "postgres://", "postgresql://")


def present(thing: Json, site: str, settings: MountSettings) -> Json:
    """The item or collection with downloadable assets and, where its parts are there, service links."""
    table = _table(thing)
    links = _service_links(thing, site + settings.prefix, table)
    assets = thing.get("assets")
    if isinstance(assets, dict):
        shown = {name: _asset(asset, site, settings, table) for name, asset in assets.items()}
        thing["assets"] = {**shown, **_thumbnail(thing, site + settings.prefix)}
    stored = thing.get("links")
    if links and isinstance(stored, list):
        thing["links"] = [link for link in stored if link.get("rel") not in _OURS] + links
    return thing


def _asset(asset: Json, site: str, settings: MountSettings, table: str | None) -> Json:
    href = str(asset.get("href", ""))
    if href.startswith(_TABLES):
        # The stored address names the database server, which is nobody's business.
        return {**asset, "href": f"{site}{settings.prefix}/features/collections/{quote(table or '')}/items"}
    name = settings.storage.parse_href(href)
    return asset if name is None else {**asset, "href": f"{site}{settings.prefix}/assets/{quote(str(name))}"}


def _table(thing: Mapping[str, object]) -> str | None:
    properties = thing.get("properties")
    if isinstance(properties, dict) and isinstance(properties.get("postgis:table"), str):
        return str(properties["postgis:table"])
    identifier = str(thing.get("id", ""))
    prefix = "postgis-geo-"
    return identifier.removeprefix(prefix) if identifier.startswith(prefix) else None


def _service_links(thing: Json, api: str, table: str | None) -> list[Json]:
    if thing.get("type") == "Collection":
        return _mosaic_links(thing, api)
    if table is not None:
        base = f"{api}/features/collections/{quote(table)}"
        return [
            _link("features", f"{base}/items", "application/geo+json", "Features"),
            _link("tilejson", f"{base}/tiles/{TILES}/tilejson.json", "application/json", "Vector tiles (TileJSON)"),
            _link(
                "tiles", f"{base}/tiles/{TILES}/{{z}}/{{x}}/{{y}}", "application/vnd.mapbox-vector-tile", "Vector tiles"
            ),
        ]
    if cog_asset(thing) is None or not thing.get("collection"):
        return []
    base = _tile_server(thing, api)
    named = [name for name in render_names(thing) if name != "default"]
    return [
        _link("preview", f"{base}/preview.png", "image/png", "Preview"),
        _link("tilejson", f"{base}/{TILES}/tilejson.json", "application/json", "Tiles (TileJSON)"),
        _link("tiles", f"{base}/tiles/{TILES}/{{z}}/{{x}}/{{y}}.png", "image/png", "Tiles"),
        _link("info", f"{base}/info", "application/json", "What the tile server knows of the file"),
        *(
            _link("tilejson", f"{base}/{TILES}/tilejson.json?render={name}", "application/json", f"Tiles: {name}")
            for name in named
        ),
    ]


def _mosaic_links(collection: Json, api: str) -> list[Json]:
    """Of a collection of rasters: all of them as one picture."""
    if "app:raster_type" not in _mapping(collection.get("summaries")):
        return []
    base = f"{api}/raster/collections/{quote(str(collection['id']))}"
    west, south, east, north = _box(collection)
    wide, high = east - west, north - south
    scale = _PREVIEW / max(wide, high)
    size = f"{max(1, round(wide * scale))}x{max(1, round(high * scale))}"
    return [
        _link("preview", f"{base}/bbox/{west},{south},{east},{north}/{size}.png", "image/png", "Preview of all items"),
        _link("tilejson", f"{base}/{TILES}/tilejson.json", "application/json", "Tiles of all items (TileJSON)"),
        _link("tiles", f"{base}/tiles/{TILES}/{{z}}/{{x}}/{{y}}.png", "image/png", "Tiles of all items"),
    ]


def _box(collection: Json) -> list[float]:
    box = _mapping(_mapping(collection.get("extent")).get("spatial")).get("bbox")
    assert isinstance(box, list)  # a collection without extent is none
    west, south, *_, east, north = box[0] if len(box[0]) == 4 else (*box[0][:2], *box[0][3:5])
    return [float(west), float(south), max(float(east), west + 1e-6), max(float(north), south + 1e-6)]


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _tile_server(thing: Json, api: str) -> str:
    return f"{api}/raster/collections/{quote(str(thing['collection']))}/items/{quote(str(thing['id']))}"


def _thumbnail(thing: Json, api: str) -> Json:
    """A small picture, which the tile server makes by the item's default render."""
    if cog_asset(thing) is None or not thing.get("collection"):
        return {}
    address = f"{_tile_server(thing, api)}/preview.png?max_size={_THUMBNAIL}"
    return {"thumbnail": {"href": address, "type": "image/png", "title": "Thumbnail", "roles": ["thumbnail"]}}


def _link(rel: str, href: str, media_type: str, title: str) -> Json:
    link: Json = {"rel": rel, "href": href, "type": media_type, "title": title}
    return {**link, "templated": True} if "{z}" in href else link
