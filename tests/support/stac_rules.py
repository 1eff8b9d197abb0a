"""What the published JSON schemas say of a STAC 1.1.0 item, asked without a network.

The core schemas are those that pystac ships. Of the extensions, pystac ships none: their rules are written down here
after the schemas published at https://stac-extensions.github.io under the very versions that items name. Those of file,
render and scientific were compared with them line by line, the others with a neighbouring version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema_rs
import pystac.validation

_CORE = Path(pystac.validation.__file__).parent / "jsonschemas"
_ITEM = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/"
_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"

NUMBER, WORD, TEXT = {"type": "number"}, {"type": ["string", "null"]}, {"type": "string"}
_DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
           "cint16", "cint32", "cfloat32", "cfloat64", "other"]  # fmt: skip
_COLORS = ["coastal", "blue", "green", "red", "rededge", "yellow", "pan", "nir", "nir08", "nir09", "cirrus", "swir16",
           "swir22", "lwir", "lwir11", "lwir12", "rededge071", "rededge075", "rededge078", "green05"]  # fmt: skip


def _list(of: Mapping, *sizes: int) -> dict:
    allowed = {"anyOf": [{"minItems": size, "maxItems": size} for size in sizes]} if sizes else {}
    return {"type": "array", "items": of, **allowed}


def _thing(properties: Mapping, *required: str, closed: bool = False) -> dict:
    rest = {"additionalProperties": False} if closed else {}
    return {"type": "object", "properties": properties, "required": list(required), **rest}


@dataclass(frozen=True)
class Rules:
    """Fields of one prefix; an item's properties or assets may have no others of it."""

    prefix: str
    fields: Mapping[str, Mapping] = field(default_factory=dict)
    required: tuple[str, ...] = ()  #: of the properties
    one_of: tuple[str, ...] = ()  #: of the properties, at least one

    def schema(self) -> dict:
        """For a whole item."""
        own = {"properties": self.fields, "patternProperties": {f"^(?!{self.prefix}:)": {}}}
        fields = {"type": "object", **own, "additionalProperties": False}
        one_of = {"anyOf": [{"required": [name]} for name in self.one_of]} if self.one_of else {}
        properties = {"allOf": [fields, {"required": list(self.required)}, one_of]}
        return _thing({"properties": properties, "assets": {"additionalProperties": fields}}, "properties", "assets")


_STATISTICS = dict.fromkeys(("mean", "minimum", "maximum", "stddev", "valid_percent"), NUMBER)
_BAND = {
    "data_type": {"enum": _DTYPES},
    "unit": TEXT,
    "bits_per_sample": {"type": "integer"},
    "sampling": {"enum": ["area", "point"]},
    "nodata": {"anyOf": [NUMBER, {"enum": ["nan", "inf", "-inf"]}]},
    "scale": NUMBER,
    "offset": NUMBER,
    "spatial_resolution": NUMBER,
    "statistics": {**_thing(_STATISTICS, closed=True), "minProperties": 1},
}
_DOI = {"type": "string", "pattern": r"^10\.[0-9a-zA-Z]{4,}/[^\s]+$"}
_RENDER = {
    "assets": _list(TEXT),
    "title": TEXT,
    "rescale": _list(_list(NUMBER)),
    "nodata": {"type": ["number", "string"]},
    "colormap_name": TEXT,
    "colormap": {"type": "object"},
    "color_formula": TEXT,
    "resampling": TEXT,
    "expression": {"type": ["string", "object", "array"]},
    "minmax_zoom": _list(NUMBER),
    "bidx": _list(NUMBER),
    "bands": _list(_list(TEXT)),
}
RULES = {
    "projection/v2.0.0": Rules(
        "proj",
        {
            "proj:code": WORD,
            "proj:wkt2": WORD,
            "proj:projjson": {"type": ["object", "null"]},
            "proj:geometry": {"type": "object"},
            "proj:bbox": _list(NUMBER, 4, 6),
            "proj:centroid": _thing({"lat": NUMBER, "lon": NUMBER}, "lat", "lon"),
            "proj:shape": _list({"type": "integer"}, 2),
            "proj:transform": _list(NUMBER, 6, 9),
        },
    ),
    "raster/v1.1.0": Rules("raster", {"raster:bands": {**_list({**_thing(_BAND), "minProperties": 1}), "minItems": 1}}),
    "file/v2.1.0": Rules(
        "file",
        {
            "file:byte_order": {"enum": ["big-endian", "little-endian"]},
            "file:checksum": {"type": "string", "pattern": "^[a-f0-9]+$"},
            "file:header_size": {"type": "integer", "minimum": 0},
            "file:size": {"type": "integer", "minimum": 0},
            "file:values": {"type": "array", "minItems": 1},
            "file:local_path": TEXT,
        },
    ),
    "processing/v1.2.0": Rules(
        "processing",
        {
            "processing:expression": _thing({"format": TEXT}, "format", "expression"),
            "processing:lineage": TEXT,
            "processing:level": TEXT,
            "processing:facility": TEXT,
            "processing:version": TEXT,
            "processing:datetime": {"type": "string", "format": "date-time"},
            "processing:software": {"type": "object", "additionalProperties": TEXT},
        },
    ),
    "eo/v1.1.0": Rules(
        "eo",
        {
            "eo:cloud_cover": {"type": "number", "minimum": 0, "maximum": 100},
            "eo:snow_cover": {"type": "number", "minimum": 0, "maximum": 100},
            "eo:bands": {**_list(_thing({"name": TEXT, "common_name": {"enum": _COLORS}})), "minItems": 1},
        },
    ),
    "render/v2.0.0": Rules("render", {}, ("renders",)),
    "scientific/v1.0.0": Rules(
        "sci",
        {
            "sci:doi": _DOI,
            "sci:citation": TEXT,
            "sci:publications": _list({"type": "object", "properties": {"doi": _DOI, "citation": TEXT}}),
        },
        one_of=("sci:doi", "sci:citation", "sci:publications"),
    ),
    "table/v1.2.0": Rules(
        "table",
        {
            "table:columns": _list(_thing({"name": TEXT, "description": TEXT, "type": TEXT}, "name")),
            "table:primary_geometry": TEXT,
            "table:row_count": NUMBER,
            "table:storage_options": {"type": "object"},
        },
        ("table:columns",),
    ),
}

#: Prefixes of fields that no published extension describes.
_OURS = {"app", "platform", "geo", "mosaic", "postgis", "vector"}


def _core() -> jsonschema_rs.Draft7Validator:
    folder = _CORE / "stac-spec/v1.1.0"
    known = {f"{_ITEM}{path.name}": json.loads(path.read_text()) for path in folder.glob("*.json")}
    for name in ("Feature", "Geometry"):
        known[f"https://geojson.org/schema/{name}.json"] = json.loads((_CORE / f"geojson/{name}.json").read_text())

    def stored(uri: str) -> dict:
        return known[uri.partition("#")[0]]

    return jsonschema_rs.Draft7Validator(known[f"{_ITEM}item.json"], retriever=stored)


def problems(item: Mapping) -> list[str]:
    """What is wrong with an item, by the core and by every extension that it names; of others nothing is known."""
    # An address with {z}/{x}/{y}, as the web-map-links extension also has them, is one once they are filled in.
    links = [{**link, "href": re.sub(r"\{[zxy]\}", "0", link["href"])} for link in item["links"]]
    errors = _core().iter_errors({**item, "links": links})
    found = [f"core: {error.message} at {error.instance_path}" for error in errors]
    rules = {_EXTENSION.format(name): (name, rule.schema()) for name, rule in RULES.items()}
    for url in item["stac_extensions"]:
        name, schema = rules.get(url, (url, False))
        for error in jsonschema_rs.Draft7Validator(schema).iter_errors(dict(item)):
            found.append(f"{name}: {error.message} at {error.instance_path}")
    renders = _thing({"renders": {"additionalProperties": _thing(_RENDER, "assets")}})
    for error in jsonschema_rs.Draft7Validator(renders).iter_errors(item["properties"]):
        found.append(f"render: {error.message} at {error.instance_path}")
    prefixes = {key.partition(":")[0] for key in _names(item) if ":" in key} - _OURS
    named = {
        rule.prefix for url, (name, _) in rules.items() if url in item["stac_extensions"] for rule in [RULES[name]]
    }
    return [*found, *(f"{prefix}: is not among the extensions" for prefix in sorted(prefixes - named))]


def _names(item: Mapping) -> set[str]:
    return {key for thing in (item["properties"], *item["assets"].values()) for key in thing}
