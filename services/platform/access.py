"""Where can a dataset be seen? Links made from a finished job's result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

Links = dict[str, dict[str, str]]


def data_access(result: Mapping[str, JsonValue] | None, base_url: str) -> Links:
    """Links of every service that shows what the job made; empty when it made nothing to see."""
    if not result or not isinstance(result.get("stac"), dict):
        return {}
    stac = cast("Mapping[str, str]", result["stac"])
    collection, item = stac["collection_id"], stac["item_id"]
    links: Links = {"stac": _stac(base_url, collection, item)}
    if any(many in result for many in ("files", "tiles", "items")):  # none of the items is the one to see
        del links["stac"]["item"]
    if "table_name" in result:
        links |= _vector(base_url, str(result["schema"]), str(result["table_name"]))
    elif "cog" in result:
        links["titiler"] = _raster(base_url, collection, item)
    return links


def item_links(item: Mapping[str, JsonValue], base_url: str) -> Links:
    """Links of every service that shows a STAC item."""
    collection, identifier = str(item["collection"]), str(item["id"])
    assets = cast("Mapping[str, JsonValue]", item.get("assets") or {})
    properties = cast("Mapping[str, JsonValue]", item["properties"])
    links: Links = {"stac": _stac(base_url, collection, identifier)}
    table = properties.get("postgis:table")
    if table:
        links |= _vector(base_url, str(properties.get("postgis:schema", "geo")), str(table))
    elif any("geotiff" in str(cast("Mapping[str, JsonValue]", a).get("type")) for a in assets.values()):
        links["titiler"] = _raster(base_url, collection, identifier)
    return links


def draft_links(collection: str, artifact_id: str, staging: str | None, base_url: str) -> Links:
    """Links of the services that show a draft beside what is published, to those who may see drafts."""
    if staging is not None:
        return _vector(base_url, "geo", staging)
    return {"titiler": _raster(base_url, collection, artifact_id)}


def _stac(base: str, collection: str, item: str) -> dict[str, str]:
    url = f"{base}/api/stac/collections/{collection}"
    return {
        "collection": url,
        "items": f"{url}/items",
        "item": f"{url}/items/{item}",
        "search": f"{base}/api/stac/search?collections={collection}",
    }


def _raster(base: str, collection: str, item: str) -> dict[str, str]:
    url = f"{base}/api/raster/collections/{collection}/items/{item}"
    return {
        "preview": f"{url}/preview.png",
        "info": f"{url}/info",
        "tilejson": f"{url}/WebMercatorQuad/tilejson.json",
        "tiles": f"{url}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png",
        "viewer": f"{base}/api/raster/map/{collection}/{item}",
    }


def _vector(base: str, schema: str, table: str) -> Links:
    url = f"{base}/api/features/collections/{schema}.{table}"
    return {
        "postgis": {"schema": schema, "table": table},
        "ogc_features": {"collection": url, "items": f"{url}/items", "viewer": f"{url}/tiles/WebMercatorQuad/map.html"},
        "vector_tiles": {
            "tilejson": f"{url}/tiles/WebMercatorQuad/tilejson.json",
            "tiles": f"{url}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}",
        },
    }
