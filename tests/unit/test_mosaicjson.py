"""A MosaicJSON of COGs of any size: found under the tiles they lie in, in a document of bounded size."""

from __future__ import annotations

import math

import pytest

from core.contracts.catalog import CatalogMember
from services.raster.mosaics import MOST_ENTRIES, mosaicjson

WORLD = CatalogMember("world", (-180.0, -90.0, 180.0, 90.0), "world.tif", 43_200)
FIELD = CatalogMember("field", (30.0, -2.0, 30.001, -1.999), "field.tif", 2_000)
FIJI = CatalogMember("fiji", (177.0, -19.0, -178.0, -16.0), "fiji.tif", 6_000)
POINT = CatalogMember("point", (10.0, 10.0, 10.0, 10.0), "point.tif", 1)


def quadkey(longitude: float, latitude: float, zoom: int) -> str:
    """By the published formula of the Web Mercator tile scheme."""
    x = (longitude + 180) / 360
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2
    column, row = int(x * 2**zoom), int(y * 2**zoom)
    return "".join(str((column >> bit & 1) + 2 * (row >> bit & 1)) for bit in range(zoom - 1, -1, -1))


def test_a_field_beside_the_world_makes_a_document_of_bounded_size() -> None:
    document = mosaicjson("m", [WORLD, FIELD])
    tiles = document["tiles"]
    assert sum(len(hrefs) for hrefs in tiles.values()) <= MOST_ENTRIES
    assert tiles[quadkey(30.0005, -1.9995, document["quadkey_zoom"])] == ["field.tif", "world.tif"]
    assert tiles[quadkey(-100.0, 40.0, document["quadkey_zoom"])] == ["world.tif"]
    assert document["minzoom"] == document["quadkey_zoom"] < document["maxzoom"]


def test_a_field_alone_lies_under_a_few_tiles() -> None:
    document = mosaicjson("m", [FIELD])
    assert 1 <= len(document["tiles"]) <= 9 and document["minzoom"] > 15


@pytest.mark.parametrize("maxzoom", [0, 3])
def test_the_maxzoom_asked_for_is_that_of_the_document(maxzoom: int) -> None:
    document = mosaicjson("m", [FIELD, FIJI], maxzoom)
    assert document["maxzoom"] == maxzoom and document["minzoom"] <= maxzoom
    assert {href for hrefs in document["tiles"].values() for href in hrefs} == {"field.tif", "fiji.tif"}


def test_cogs_across_the_antimeridian_or_without_extent_are_found() -> None:
    document = mosaicjson("m", [FIJI, POINT])
    for place, href in (((178.0, -17.0), "fiji.tif"), ((-179.0, -17.0), "fiji.tif"), ((10.0, 10.0), "point.tif")):
        assert href in document["tiles"][quadkey(*place, document["quadkey_zoom"])]
