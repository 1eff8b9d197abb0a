"""Which kind of service is behind an address? Asks it as each kind would be asked, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from core.contracts.outbound import Answer, Limits, Outbound
from core.contracts.services import Detection, Outcome
from core.errors import GeomachineError, RemoteAnswerRefused
from core.models.services import ServiceType
from services.external_services import arcgis, documents

_TEMPLATE = re.compile(r"\{-?[zxy]\}|\{(?:z|x|-?y|TileMatrix|TileRow|TileCol)\}", re.IGNORECASE)
_OGC = {"WMS": ServiceType.WMS, "WFS": ServiceType.WFS, "WMTS": ServiceType.WMTS}
_HEADERS = {"Accept": "application/json, application/geo+json, application/xml, */*;q=0.5"}
_TIFF_HEADERS = {"Range": "bytes=0-16383"}
_SURE = 0.5
MOST_QUESTIONS = 5  #: to find out what one service is


def detect(outbound: Outbound, url: str, seconds: float) -> Outcome:
    """What the service is, asking MOST_QUESTIONS at most; the first failure where none of the answers tells."""
    best: Outcome | None = None
    failed: Outcome | None = None
    for probe in _probes(url):
        outcome = ask(outbound, probe, seconds)
        if outcome.detection is None:
            failed = failed or outcome
            if outcome.status_code is None and outcome.response_ms is None:
                break  # it cannot be reached: other questions would not be either
        elif outcome.detection.confidence > _SURE:
            return outcome
        else:
            best = best or outcome
    assert best or failed  # there is at least one question
    return best or failed  # type: ignore[return-value]


def ask(outbound: Outbound, probe: str, seconds: float) -> Outcome:
    """One question and what the answer shows. Raises AddressRefused; other failures are outcomes."""
    if _TEMPLATE.search(probe):
        return _tile(outbound, probe, seconds)
    tiff = urlsplit(probe).path.lower().endswith((".tif", ".tiff"))
    limits = Limits(seconds=seconds, size=16384 if tiff else 8 << 20, cut=tiff)
    try:
        answer = outbound.get(probe, limits, _TIFF_HEADERS if tiff else _HEADERS)
    except GeomachineError as e:
        if e.code == "ADDRESS_REFUSED":
            raise
        return Outcome(None, None, e.message)
    if answer.status >= 400:
        return _outcome(answer, f"It answers with status {answer.status}.")
    try:
        found = documents.recognise(answer)
    except RemoteAnswerRefused as e:
        return _outcome(answer, e.message)
    if found is None:
        return _outcome(answer, f"Its answer ({answer.media_type or 'no type'}) is no description of a map service.")
    # What is asked next time is what was asked now, wherever redirects led.
    return _outcome(answer, None, Detection(found.type, found.confidence, probe, found.capabilities, found.metadata))


def _tile(outbound: Outbound, template: str, seconds: float) -> Outcome:
    address = _TEMPLATE.sub("0", template)
    try:
        answer = outbound.get(address, Limits(seconds=seconds, size=8 << 20))
    except GeomachineError as e:
        if e.code == "ADDRESS_REFUSED":
            raise
        return Outcome(None, None, e.message)
    if answer.status >= 400 or not documents.is_tile(answer):
        return _outcome(
            answer, f"The tile 0/0/0 answers with status {answer.status} and {answer.media_type or 'no type'}."
        )
    from_bottom = "{-y}" in template or "/tms/" in template.lower()
    kind = ServiceType.TMS_TILES if from_bottom else ServiceType.XYZ_TILES
    return _outcome(answer, None, Detection(kind, 0.9, template, {"formats": [answer.media_type]}))


def _outcome(answer: Answer, reason: str | None, detection: Detection | None = None) -> Outcome:
    return Outcome(answer.status, answer.milliseconds, reason, detection)


def _probes(url: str) -> Iterator[str]:
    """The questions, the likeliest first, none twice."""
    if _TEMPLATE.search(url):
        yield url
        return
    parts = urlsplit(url)
    query = {name.lower(): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    arcgis_json = _with(url, f="json")
    if query.get("request") or parts.path.lower().endswith((".tif", ".tiff", ".json", ".xml")):
        asked = [url]
    elif arcgis.named_in(url) or "/rest/services" in parts.path.lower():
        asked = [url if query.get("f") else arcgis_json, *_wms_of_arcgis(url)]
    else:
        asked = [*_hinted(url, parts.path.lower(), query.get("service", "").upper()), url]
        asked += [_with(url, service=name, request="GetCapabilities") for name in _OGC]
        asked += [arcgis_json]
    yield from list(dict.fromkeys(asked))[:MOST_QUESTIONS]


def _wms_of_arcgis(url: str) -> list[str]:
    """ArcGIS serves OGC beside its own: `.../MapServer/WMSServer`."""
    low = url.partition("?")[0].lower().rstrip("/")
    return [
        _with(url, service=name, request="GetCapabilities")
        for name in ("WMS", "WFS")
        if low.endswith(f"{name.lower()}server")
    ]


def _hinted(url: str, path: str, service: str) -> list[str]:
    names = [name for name in ("WMTS", "WMS", "WFS") if name == service or name.lower() in path]
    return [_with(url, service=name, request="GetCapabilities") for name in names]


def _with(url: str, **added: str) -> str:
    parts = urlsplit(url)
    kept = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name.lower() not in added
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *added.items()]), fragment=""))
