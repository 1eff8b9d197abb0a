"""A stored style as MapLibre and Mapbox GL draw it: https://maplibre.org/maplibre-style-spec/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from core.contracts.styles import StyleSpec, StylingRule

#: What tipg calls the one layer of its tiles.
TILE_LAYER = "default"
_SOURCE = "features"
_KINDS: Mapping[str, tuple[str, ...]] = {
    "fill": ("Polygon", "MultiPolygon"),
    "line": ("LineString", "MultiLineString", "Polygon", "MultiPolygon"),
    "circle": ("Point", "MultiPoint"),
}


@dataclass(frozen=True)
class TileSource:
    """Where the tiles of the styled table are; `bounds` in EPSG:4326."""

    tiles: str
    bounds: Sequence[float] | None


def maplibre_style(name: str, spec: StyleSpec, source: TileSource) -> dict[str, JsonValue]:
    """The whole style document: source, and a layer for each part of each rule, in the rules' order."""
    vector: dict[str, JsonValue] = {"type": "vector", "tiles": [source.tiles], "minzoom": 0, "maxzoom": 22}
    if source.bounds is not None:
        vector["bounds"] = cast("JsonValue", list(source.bounds))
    layers: list[JsonValue] = [
        layer for number, rule in enumerate(spec.stylingRules) for layer in _layers(number, rule)
    ]
    return {"version": 8, "name": name, "sources": {_SOURCE: vector}, "layers": layers}


def _layers(number: int, rule: StylingRule) -> Iterator[dict[str, JsonValue]]:
    look = rule.symbolizer
    if look.fill:
        paint: dict[str, JsonValue] = {"fill-color": look.fill.color, "fill-opacity": look.fill.opacity}
        yield _layer(number, rule, "fill", paint)
    if look.stroke:
        stroke = look.stroke
        paint = {"line-color": stroke.color, "line-width": stroke.width, "line-opacity": stroke.opacity}
        yield _layer(number, rule, "line", paint)
    if look.marker:
        dot = look.marker
        paint = {"circle-color": dot.color, "circle-radius": dot.size / 2, "circle-opacity": dot.opacity}
        if dot.stroke:
            paint |= {
                "circle-stroke-color": dot.stroke.color,
                "circle-stroke-width": dot.stroke.width,
                "circle-stroke-opacity": dot.stroke.opacity,
            }
        yield _layer(number, rule, "circle", paint)


def _layer(number: int, rule: StylingRule, kind: str, paint: dict[str, JsonValue]) -> dict[str, JsonValue]:
    kinds: JsonValue = cast("JsonValue", list(_KINDS[kind]))
    drawn: JsonValue = ["in", ["geometry-type"], ["literal", kinds]]
    both = drawn if rule.selector is None else ["all", drawn, _filter(rule.selector)]
    return {
        "id": f"{number}-{kind}",
        "type": kind,
        "source": _SOURCE,
        "source-layer": TILE_LAYER,
        "metadata": {"rule": rule.name},
        "filter": both,
        "paint": cast("JsonValue", paint),
    }


def _filter(node: Mapping[str, JsonValue], *, negated: bool = False) -> JsonValue:
    """A selector as an expression. An absent value takes part in no comparison, negated or not, as in CQL2."""
    op, args = cast("str", node["op"]), cast("list[JsonValue]", node["args"])
    match op:
        case "and" | "or":
            parts = (_filter(cast("Mapping[str, JsonValue]", part), negated=negated) for part in args)
            return ["all" if (op == "and") is not negated else "any", *parts]
        case "not":
            return _filter(cast("Mapping[str, JsonValue]", args[0]), negated=not negated)
    name = cast("Mapping[str, str]", args[0])["property"]
    present: JsonValue = ["has", name]
    if op == "isNull":
        return present if negated else ["!", present]
    holds = _comparison(op, _value(name, args[-1]), args[1:])
    return ["all", present, ["!", holds] if negated else holds]


def _comparison(op: str, value: JsonValue, compared: list[JsonValue]) -> JsonValue:
    match op:
        case "in":
            return ["in", value, ["literal", compared[0]]]
        case "between":
            return ["all", [">=", value, compared[0]], ["<=", value, compared[1]]]
        case _:
            return [{"<>": "!=", "=": "=="}.get(op, op), value, compared[0]]


def _value(name: str, compared: JsonValue) -> JsonValue:
    """A property; as a number where it is compared with one, since tiles carry decimals as text."""
    sample = compared[0] if isinstance(compared, list) else compared
    number = isinstance(sample, int | float) and not isinstance(sample, bool)
    return ["to-number", ["get", name]] if number else ["get", name]
