"""STAC and OGC API: landing pages in JSON that declare what they conform to and link to the rest."""

from __future__ import annotations

from collections.abc import Mapping

from core.contracts.services import Detection
from core.models.record import Json
from core.models.services import ServiceType

_DATA = ("data", "http://www.opengis.net/def/rel/ogc/1.0/data")
_TILES = "/tilesets-"
_KEPT = 50  #: conformance classes that are kept


def stac(url: str, said: Mapping[str, object]) -> Detection | None:
    """A STAC API; with less confidence, a catalogue of files."""
    if "stac_version" not in said or said.get("type") not in ("Catalog", "Collection", None):
        return None
    conforms, relations = _conformance(said), _relations(said)
    is_api = any("stacspec.org" in each or "stac-api" in each for each in conforms) or "search" in relations
    children = sum(1 for relation in relations if relation == "child")
    return Detection(
        ServiceType.STAC_API,
        1.0 if is_api else 0.7,
        url,
        {"search": "search" in relations, "collections": children, "conforms_to": list(conforms[:_KEPT])},
        _titles(said, str(said["stac_version"])),
    )


def landing_page(url: str, said: Mapping[str, object]) -> Detection | None:
    """An OGC API by its conformance classes, else by its links."""
    conforms, relations = _conformance(said), _relations(said)
    features = any("ogcapi-features" in each for each in conforms)
    tiles = any("ogcapi-tiles" in each for each in conforms)
    declared = features or tiles
    if not declared:
        is_landing = {"conformance", "http://www.opengis.net/def/rel/ogc/1.0/conformance"} & set(relations)
        features = bool(is_landing) and any(relation in _DATA for relation in relations)
        tiles = bool(is_landing) and any(_TILES in relation for relation in relations)
    if not (features or tiles):
        return None
    kind = ServiceType.OGC_API_FEATURES if features else ServiceType.OGC_API_TILES
    known: Json = {"features": features, "tiles": tiles, "conforms_to": list(conforms[:_KEPT])}
    return Detection(kind, 1.0 if declared else 0.8, url, known, _titles(said, ""))


def _conformance(said: Mapping[str, object]) -> list[str]:
    declared = said.get("conformsTo")
    return [str(each) for each in declared] if isinstance(declared, list) else []


def _relations(said: Mapping[str, object]) -> list[str]:
    links = said.get("links")
    return [str(link.get("rel")) for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def _titles(said: Mapping[str, object], version: str) -> Json:
    return {
        "title": str(said.get("title") or said.get("id") or ""),
        "description": str(said.get("description") or "")[:1000],
        "version": version,
    }
