"""What does an answer say the service is? Reads the documents that each kind of service describes itself with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

from core.contracts.outbound import Answer
from core.contracts.services import Detection
from core.errors import RemoteAnswerRefused
from core.models.record import Json
from core.models.services import ServiceType
from services.external_services import arcgis, capabilities, ogc_api

_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")
_TILE_TYPES = ("application/vnd.mapbox-vector-tile", "application/x-protobuf", "application/octet-stream")


def recognise(answer: Answer) -> Detection | None:
    """What the document at this address is; None when it is none of these. Raises RemoteAnswerRefused for an error
    that the service reports inside a good answer, as ArcGIS does."""
    body = answer.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if body.startswith(_TIFF):
        return _tiff(answer)
    if body.startswith(b"<"):
        return capabilities.recognise(answer.url, answer.body)
    if body.startswith((b"{", b"[")):
        return _json(answer)
    return None


def is_tile(answer: Answer) -> bool:
    """Whether this is an image or a vector tile."""
    return answer.body.startswith(_IMAGES) or (bool(answer.body) and answer.media_type in _TILE_TYPES)


def _tiff(answer: Answer) -> Detection:
    in_order = b"LAYOUT=IFDS_BEFORE_DATA" in answer.body[:1024]
    ranges = answer.status == 206 or answer.headers.get("accept-ranges", "").lower() == "bytes"
    confidence = 0.3 + (0.5 if in_order else 0.0) + (0.2 if ranges else 0.0)
    known: Json = {"range_requests": ranges, "cloud_optimized": in_order}
    return Detection(ServiceType.COG_ENDPOINT, round(confidence, 1), answer.url, known, {"format": "GeoTIFF"})


def _json(answer: Answer) -> Detection | None:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return Detection(ServiceType.GENERIC_REST, 0.3, answer.url)
    said = cast("Mapping[str, object]", document)
    if isinstance(error := said.get("error"), dict) and "code" in error:
        raise RemoteAnswerRefused(f"The service reports error {error['code']}: {str(error.get('message'))[:200]}.")
    readers = (arcgis.recognise, ogc_api.stac, ogc_api.landing_page, _tilejson)
    found = next((found for read in readers if (found := read(answer.url, said)) is not None), None)
    keys: Json = {"keys": [*sorted(map(str, said))[:20]]}
    return found or Detection(ServiceType.GENERIC_REST, 0.3, answer.url, {}, keys)


def _tilejson(url: str, said: Mapping[str, object]) -> Detection | None:
    tiles = said.get("tiles")
    if "tilejson" not in said or not isinstance(tiles, Sequence) or isinstance(tiles, str):
        return None
    kind = ServiceType.TMS_TILES if said.get("scheme") == "tms" else ServiceType.XYZ_TILES
    zooms: Json = {name: said[name] for name in ("minzoom", "maxzoom") if isinstance(said.get(name), int)}  # type: ignore[misc]
    return Detection(kind, 1.0, url, zooms, {"title": str(said.get("name") or ""), "version": str(said["tilejson"])})
