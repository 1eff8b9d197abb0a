"""How a COG item is drawn when the caller does not say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Json = Mapping[str, object]
Parameters = list[tuple[str, str]]

DATA = "data"  #: the asset that holds the COG
_DEFAULT_COLORMAP = "viridis"
_PASSED = ("colormap_name", "color_formula", "expression", "resampling", "nodata")


def cog_asset(item: Json) -> Json | None:
    """The item's `data` asset when it is a GeoTIFF."""
    asset = _mapping(_mapping(item.get("assets")).get(DATA))
    return asset if "tiff" in str(asset.get("type", "")) or str(asset.get("href", "")).endswith(".tif") else None


def render_names(item: Json) -> list[str]:
    """The renders that the item has."""
    return sorted(_mapping(_mapping(item.get("properties")).get("renders")))


def parameters_of(item: Json, name: str | None = None) -> Parameters:
    """Query parameters of the tile server for the named render, else for the item's default one, else for what its band
    statistics suggest.
    """
    properties = _mapping(item.get("properties"))
    renders = _mapping(properties.get("renders"))
    if name is not None:
        return _stored(_mapping(renders[name]))
    if renders:
        return _stored(_mapping(renders.get("default") or next(iter(renders.values()))))
    bands = _bands(item, properties)
    shown = bands[:3] if len(bands) >= 3 else bands[:1]
    parameters: Parameters = [("assets", f"{DATA}|bidx={','.join(str(i) for i, _ in shown)}" if shown else DATA)]
    ranges = [_range(band) for _, band in shown]
    if all(ranges) and not all(band.get("data_type") == "uint8" for _, band in shown):
        parameters += [("rescale", f"{low},{high}") for low, high in filter(None, ranges)]
        if len(shown) == 1:
            parameters.append(("colormap_name", str(properties.get("app:colormap") or _DEFAULT_COLORMAP)))
    return parameters


def _stored(render: Json) -> Parameters:
    bands = _sequence(render.get("bidx"))
    names = [str(name) for name in _sequence(render.get("assets"))] or [DATA]
    option = f"|bidx={','.join(str(b) for b in bands)}" if bands else ""
    parameters: Parameters = [("assets", name + option) for name in names]
    for pair in _sequence(render.get("rescale")):
        values = _sequence(pair)
        parameters.append(("rescale", f"{values[0]},{values[1]}" if len(values) == 2 else str(pair)))
    if isinstance(render.get("colormap"), (Mapping, list)):
        parameters.append(("colormap", json.dumps(render["colormap"])))
    parameters += [(name, str(render[name])) for name in _PASSED if render.get(name) is not None]
    return parameters


def _bands(item: Json, properties: Json) -> list[tuple[int, Json]]:
    asset = _mapping(_mapping(item.get("assets")).get(DATA))
    described = [_mapping(b) for b in _sequence(asset.get("raster:bands") or asset.get("bands"))]
    chosen = [int(str(b)) for b in _sequence(properties.get("app:rgb_bands")) if str(b).isdigit()]
    if chosen and all(1 <= b <= len(described) for b in chosen):
        return [(b, described[b - 1]) for b in chosen]
    return list(enumerate(described, start=1))


def _range(band: Json) -> tuple[object, object] | None:
    statistics = _mapping(band.get("statistics"))
    low, high = statistics.get("minimum"), statistics.get("maximum")
    return (low, high) if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low < high else None


def _mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else []
