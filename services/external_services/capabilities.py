"""WMS, WFS, WMTS and TMS: capabilities documents in XML."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET
from xml.parsers import expat

from core.contracts.services import Detection
from core.errors import RemoteAnswerRefused
from core.models.services import ServiceType

_ROOTS = {
    "WMS_Capabilities": ServiceType.WMS,
    "WMT_MS_Capabilities": ServiceType.WMS,
    "WFS_Capabilities": ServiceType.WFS,
    "TileMapService": ServiceType.TMS_TILES,
    "TileMap": ServiceType.TMS_TILES,
}
_LAYERS = {
    ServiceType.WMS: "Layer",
    ServiceType.WFS: "FeatureType",
    ServiceType.WMTS: "Layer",
    ServiceType.TMS_TILES: "TileMap",
}
_NAMES = {ServiceType.WMS: "Name", ServiceType.WFS: "Name", ServiceType.WMTS: "Identifier"}
_REPORTS = ("ServiceExceptionReport", "ExceptionReport")
_SHOWN = 100


def recognise(url: str, body: bytes) -> Detection | None:
    """The service of a capabilities document; None for other XML. Raises RemoteAnswerRefused for its error report."""
    try:
        _refuse_entities(body)
        root = ET.fromstring(body)  # noqa: S314  # expat reads no external entity, and there are no internal ones
    except (ET.ParseError, expat.ExpatError):
        return None
    name = _local(root.tag)
    if name in _REPORTS:
        raise RemoteAnswerRefused(f"The service reports: {' '.join(' '.join(root.itertext()).split())[:200]}")
    wmts = name == "Capabilities" and "wmts" in root.tag
    kind = ServiceType.WMTS if wmts else _ROOTS.get(name)
    return None if kind is None else _described(kind, url, root)


def _refuse_entities(body: bytes) -> None:
    """Raise RemoteAnswerRefused where a document declares any: nothing that we look for does; bombs do.

    The parser says so, since only it knows the document's encoding.
    """

    def declared(*_: object) -> None:
        raise RemoteAnswerRefused("The document declares entities.")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = declared
    parser.Parse(body, True)


def _described(kind: ServiceType, url: str, root: ET.Element) -> Detection:
    names = list(_layer_names(kind, root))
    head = next((child for child in root if _local(child.tag) in ("Service", "ServiceIdentification")), root)
    operations = sorted(set(_operations(kind, root)))
    return Detection(
        kind,
        1.0,
        url,
        {"operations": list(operations), "layers": len(names), "formats": list(_formats(root))},
        {
            "title": _child(head, "Title"),
            "description": _child(head, "Abstract")[:1000],
            "version": root.get("version", ""),
            "layers": list(names[:_SHOWN]),
        },
    )


def _layer_names(kind: ServiceType, root: ET.Element) -> Iterator[str]:
    wanted = _LAYERS[kind]
    for element in root.iter():
        if _local(element.tag) == wanted:
            named = element.get("title", "") if kind is ServiceType.TMS_TILES else _child(element, _NAMES[kind])
            if named:  # a WMS layer without a name only groups others
                yield named


def _operations(kind: ServiceType, root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        if _local(element.tag) == "Operation" and "name" in element.attrib:
            yield element.attrib["name"]
        elif kind is ServiceType.WMS and _local(element.tag) == "Request":
            yield from (_local(child.tag) for child in element)


def _formats(root: ET.Element) -> list[str]:
    found = {(element.text or "").strip() for element in root.iter() if _local(element.tag) == "Format"}
    return sorted(found - {""})[:30]


def _child(element: ET.Element, name: str) -> str:
    return next(((child.text or "").strip() for child in element if _local(child.tag) == name), "")


def _local(tag: object) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
