"""ArcGIS REST: services and layers describe themselves in JSON, without saying which kind they are."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from core.contracts.services import Detection
from core.models.services import ServiceType

_SHOWN = 100  #: layers whose names are kept
_BY_PATH = {
    "mapserver": ServiceType.ARCGIS_MAPSERVER,
    "featureserver": ServiceType.ARCGIS_FEATURESERVER,
    "imageserver": ServiceType.ARCGIS_IMAGESERVER,
}


def recognise(url: str, said: Mapping[str, object]) -> Detection | None:
    """The service, or the service of a layer; None for a folder or another document."""
    kind = _kind(said) or _kind_of_layer(url, said)
    if kind is None:
        return None
    confidence = 1.0 if kind is named_in(url) else 0.9
    operations = [part.strip() for part in str(said.get("capabilities") or "").split(",") if part.strip()]
    layers = [layer for key in ("layers", "tables") for layer in _list(said.get(key))]
    return Detection(
        kind,
        confidence,
        url,
        {
            "operations": list(operations),
            "layers": len(layers),
            "max_record_count": _number(said.get("maxRecordCount")),
        },
        {
            "title": str(said.get("mapName") or said.get("name") or ""),
            "description": str(said.get("serviceDescription") or said.get("description") or "")[:1000],
            "attribution": str(said.get("copyrightText") or ""),
            "version": str(said.get("currentVersion") or ""),
            "layers": [str(layer["name"]) for layer in layers[:_SHOWN] if "name" in layer],
        },
    )


def named_in(url: str) -> ServiceType | None:
    """The kind that the path names, as `.../MapServer`."""
    parts = url.partition("?")[0].lower().split("/")
    return next((_BY_PATH[part] for part in reversed(parts) if part in _BY_PATH), None)


def _kind(said: Mapping[str, object]) -> ServiceType | None:
    if "pixelSizeX" in said or str(said.get("serviceDataType", "")).startswith("esriImageService"):
        return ServiceType.ARCGIS_IMAGESERVER
    if "layers" not in said or "currentVersion" not in said:
        return None
    if "mapName" in said or "supportedImageFormatTypes" in said:
        return ServiceType.ARCGIS_MAPSERVER
    return ServiceType.ARCGIS_FEATURESERVER


def _kind_of_layer(url: str, said: Mapping[str, object]) -> ServiceType | None:
    if str(said.get("type")) not in ("Feature Layer", "Table", "Raster Layer", "Group Layer") or "id" not in said:
        return None
    return named_in(url) or ServiceType.ARCGIS_FEATURESERVER


def _list(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: object) -> JsonValue:
    return value if isinstance(value, int) else None
