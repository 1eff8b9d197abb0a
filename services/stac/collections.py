"""A STAC collection as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import pystac
import stac_pydantic
from pydantic import JsonValue, ValidationError

from core.contracts.effects import StacJson
from core.errors import ContractViolation
from services.stac.properties import timestamp

#: STAC's word for terms that no SPDX licence describes.
UNKNOWN_LICENSE = "other"


@dataclass(frozen=True)
class CollectionParts:
    """What a collection is made of; its extent is that of its first item and grows with the others."""

    collection_id: str
    bbox: Sequence[float]
    start: datetime
    end: datetime
    title: str | None = None
    description: str | None = None
    keywords: Sequence[str] = field(default_factory=tuple)
    license: str = UNKNOWN_LICENSE


def collection_document(parts: CollectionParts) -> StacJson:
    """The collection, without links. A bbox across the antimeridian becomes all longitudes: extents only grow."""
    west, south, east, north = parts.bbox
    if west > east:
        west, east = -180.0, 180.0
    document: dict[str, JsonValue] = {
        "type": "Collection",
        "stac_version": pystac.get_stac_version(),
        "stac_extensions": [],
        "id": parts.collection_id,
        "title": parts.title or parts.collection_id,
        "description": parts.description or f"Datasets of {parts.title or parts.collection_id}.",
        "keywords": cast("list[JsonValue]", list(parts.keywords)),
        "license": parts.license,
        "extent": {
            "spatial": {"bbox": [[west, south, east, north]]},
            "temporal": {"interval": [[timestamp(parts.start), timestamp(parts.end)]]},
        },
        "links": [],
    }
    try:
        stac_pydantic.Collection.model_validate(document)
    except ValidationError as e:
        raise ContractViolation(f"STAC collection {parts.collection_id!r} is not valid: {e}") from e
    return document
