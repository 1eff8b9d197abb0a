"""A collection as one picture: its COGs that the caller may see, drawn alike, the latest on top."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import attr
import morecantile
from rasterio.crs import CRS
from rio_tiler.constants import WGS84_CRS
from rio_tiler.mosaic.backend import BaseBackend
from rio_tiler.types import BBox
from starlette.requests import Request

from infrastructure.postgres.queries import Queries
from triggers.web.edge import view_of

_SQL = Queries("serving")
_TILE = re.compile(r"^tiles/(?P<tms>[^/]+)/(?P<z>\d{1,2})/(?P<x>\d{1,9})/(?P<y>\d{1,9})")
_BOX = re.compile(r"^bbox/(-?[\d.]+),(-?[\d.]+),(-?[\d.]+),(-?[\d.]+)")
#: COGs that are opened for one picture.
_MOST = 100

Item = Mapping[str, object]


@dataclass(frozen=True)
class Mosaic:
    """What a request needs of a collection: items to draw, the one by whose render all are drawn, the extent."""

    items: Sequence[Item]
    model: Item
    bounds: BBox


async def find(request: Request, collection: str, rest: str) -> Mosaic | None:
    """The mosaic as the caller may see it; None where he may see no COG of the collection."""
    view = view_of(request).parameters
    async with request.app.state.pool.acquire() as connection:
        shown = await connection.fetchrow(_SQL["collection_shown"], collection, *view)
        if shown is None:
            return None
        area = _area(rest)
        rows = await connection.fetch(_SQL["collection_cogs"], collection, *view, *area, _MOST) if area else []
    west, south, east, north = shown["west"], shown["south"], shown["east"], shown["north"]
    return Mosaic([row["item"] for row in rows], shown["model"], (west, south, east, north))


def _area(rest: str) -> BBox | None:
    """Where the picture lies, in degrees; None where none is drawn, or nowhere on Earth."""
    if box := _BOX.match(rest):
        west, south, east, north = (float(value) for value in box.groups())
        return (west, south, east, north) if west < east and south < north else None
    tile = _TILE.match(rest)
    if tile is None or tile["tms"] not in morecantile.tms.list():
        return None
    place = morecantile.tms.get(tile["tms"]).bounds(morecantile.Tile(int(tile["x"]), int(tile["y"]), int(tile["z"])))
    return (place.left, place.bottom, place.right, place.top)


@attr.s
class MosaicBackend(BaseBackend):
    """The items of the Mosaic that is its input: found for the request, so it has none but those that are asked for."""

    def __attrs_post_init__(self) -> None:
        """Zoom levels are those of the item that stands for all."""
        self.bounds, self.crs = self.input.bounds, WGS84_CRS
        with self.reader(self.input.model, tms=self.tms) as model:
            self.minzoom, self.maxzoom = 0, model.maxzoom

    def asset_name(self, asset: Item) -> str:
        """The item's id."""
        return str(asset["id"])

    def assets_for_tile(self, x: int, y: int, z: int, **kwargs: object) -> list[Item]:
        """The items under the tile."""
        return list(self.input.items)

    def assets_for_bbox(
        self, xmin: float, ymin: float, xmax: float, ymax: float, coord_crs: CRS | None = None, **kwargs: object
    ) -> list[Item]:
        """The items in the box."""
        return list(self.input.items)

    def assets_for_point(self, lng: float, lat: float, coord_crs: CRS | None = None, **kwargs: object) -> list[Item]:
        """No route asks."""
        return []
