"""A STAC 1.1 item as JSON: built in one place, checked against the specification's model before it is handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import pystac
import stac_pydantic
from pydantic import JsonValue, ValidationError

from core.contracts.effects import StacJson
from core.errors import ContractViolation

Moment = datetime  # `datetime` is also the name of a field


@dataclass(frozen=True)
class ItemParts:
    """What an item is made of. `bbox` and `geometry` in EPSG:4326; west > east when it crosses the antimeridian."""

    item_id: str
    collection_id: str
    geometry: Mapping[str, JsonValue]
    bbox: Sequence[float]
    datetime: datetime
    properties: Mapping[str, JsonValue]
    assets: Mapping[str, Mapping[str, JsonValue]]
    extensions: Sequence[str] = field(default_factory=tuple)
    until: Moment | None = None  #: the end of a span of time that `datetime` begins


def item_document(parts: ItemParts) -> StacJson:
    """The item, without links: those depend on the address it is served under. Raises ContractViolation."""
    span = parts.until is not None and parts.until != parts.datetime
    item = pystac.Item(
        id=parts.item_id,
        geometry=dict(parts.geometry),
        bbox=list(parts.bbox),
        datetime=None if span else parts.datetime,
        start_datetime=parts.datetime if span else None,
        end_datetime=parts.until if span else None,
        properties=dict(parts.properties),
        collection=parts.collection_id,
        stac_extensions=sorted(set(parts.extensions)),
        assets={key: pystac.Asset.from_dict(dict(asset)) for key, asset in parts.assets.items()},
    )
    document = cast("dict[str, JsonValue]", item.to_dict(include_self_link=False, transform_hrefs=False))
    document["links"] = []
    try:
        stac_pydantic.Item.model_validate(document)
    except ValidationError as e:
        raise ContractViolation(f"STAC item {parts.item_id!r} does not follow the specification: {e}") from e
    return document
