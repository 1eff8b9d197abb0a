"""Which COG a tile request means, and with which settings it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode

import attr
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import Affine, array_bounds
from rio_tiler.constants import WGS84_CRS
from rio_tiler.errors import InvalidAssetName
from rio_tiler.models import Info
from rio_tiler.types import AssetInfo, AssetType
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from titiler.pgstac.reader import SimpleSTACReader

from core.contracts.storage import ObjectStorage
from infrastructure.postgres.queries import Queries
from triggers.web import problems
from triggers.web.edge import view_of
from triggers.web.mosaics import Mosaic, find
from triggers.web.renders import DATA, cog_asset, parameters_of, render_names
from triggers.web.scoped_reader import ScopedReader

_SQL = Queries("serving")
_ITEM = "geomachine.item"
_MOSAIC = "geomachine.mosaic"
_PATH = re.compile(r"^/collections/(?P<collection>[^/]+)/items/(?P<item>[^/]+)/(?P<rest>.+)$")
_WHOLE = re.compile(r"^/collections/(?P<collection>[^/]+)/(?P<rest>(?:tiles/|bbox/|[^/]+/tilejson\.json).*)$")
_DRAWN = re.compile(r"^(preview|tiles|bbox|feature|[^/]+/tilejson\.json)")
_SIZE_IN_PATH = re.compile(r"/(\d+)x(\d+)(?:\.|$)")
_SIZES = frozenset({"max_size", "width", "height", "tilesize", "buffer", "padding"})
_LARGEST = 4096
_RENDER = "render"  #: the query parameter that names one of the item's renders
_PART_SIZE = 1024

Parameters = list[tuple[str, str]]


class CogGate:
    """Finds what a tile request means, 404 unless the caller may see it, and adds what the caller left unsaid."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or not (match := _PATH.match(path) or _WHOLE.match(path)):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if _too_large(match["rest"], given):
            problem = problems.Problem(400, f"An image may be {_LARGEST} pixels wide and high at most.")
            await problems.answer(request, problem)(scope, receive, send)
            return
        try:
            item, mosaic = await _meant(request, match)
        except problems.DATABASE_ERRORS as e:
            await problems.answer(request, problems.of_database(e))(scope, receive, send)
            return
        if item is None or cog_asset(item) is None:
            named = f"Item {match['item']} in collection" if match.re is _PATH else "Collection"
            message = f"{named} {match['collection']} does not exist or is no raster."
            await problems.answer(request, problems.Problem(404, message))(scope, receive, send)
            return
        render = next((value for name, value in given if name == _RENDER), None)
        if render is not None and render not in render_names(item):
            known = ", ".join(render_names(item)) or "none"
            problem = problems.Problem(404, f"Item {item['id']} has no render {render[:100]!r}; it has: {known}.")
            await problems.answer(request, problem)(scope, receive, send)
            return
        given = [pair for pair in given if pair[0] != _RENDER]
        query = urlencode(given + _unsaid(item, match["rest"], given, render)).encode()
        await self._app({**scope, "query_string": query, _ITEM: item, _MOSAIC: mosaic}, receive, send)


def gated_item(request: Request) -> dict[str, object]:
    """The item that the gate let through."""
    item: dict[str, object] = request.scope[_ITEM]
    return item


def gated_mosaic(request: Request) -> Mosaic:
    """The mosaic that the gate let through."""
    mosaic: Mosaic = request.scope[_MOSAIC]
    return mosaic


async def _meant(request: Request, match: re.Match[str]) -> tuple[dict[str, object] | None, Mosaic | None]:
    """The item of the path; of a collection's the mosaic, with the item that stands for all."""
    if match.re is _PATH:
        return await _visible_item(request, match["collection"], match["item"]), None
    mosaic = await find(request, match["collection"], match["rest"])
    return (dict(mosaic.model), mosaic) if mosaic else (None, None)


async def _visible_item(request: Request, collection: str, identifier: str) -> dict[str, object] | None:
    async with request.app.state.pool.acquire() as connection:
        item: dict[str, object] | None = await connection.fetchval(
            _SQL["item"], identifier, collection, *view_of(request).parameters
        )
    return item


def _unsaid(item: Mapping[str, object], rest: str, given: Parameters, render: str | None) -> Parameters:
    names = {name for name, _ in given}
    defaults = parameters_of(item, render)
    if names & {"assets", "expression"}:
        added: Parameters = []
    elif _DRAWN.match(rest) and not names & {"rescale", "colormap", "colormap_name", "color_formula", "algorithm"}:
        added = [pair for pair in defaults if pair[0] not in names]
    else:
        added = [pair for pair in defaults if pair[0] == "assets"] if _DRAWN.match(rest) else [("assets", DATA)]
    if "assets" not in names | {name for name, _ in added}:
        added.append(("assets", DATA))
    if re.match(r"^(bbox|feature|statistics)", rest) and not names & {"max_size", "width", "height"}:
        # A part is otherwise read in full resolution, however large it is.
        added.append(("max_size", str(_PART_SIZE)))
    return added


def _too_large(rest: str, given: Parameters) -> bool:
    sizes = [value for name, value in given if name in _SIZES]
    if match := _SIZE_IN_PATH.search(rest):
        sizes += match.groups()
    return any(value.isdigit() and int(value) > _LARGEST for value in sizes)


@attr.s
class CogReader(SimpleSTACReader):
    """Reads an item's COGs. What GDAL opens comes from the stored href through the store, never from the caller."""

    storage: ClassVar[ObjectStorage]
    reader: type[ScopedReader] = attr.ib(default=ScopedReader)

    @classmethod
    def of(cls, storage: ObjectStorage) -> type[CogReader]:
        """A reader of that store."""
        return type("StoredCogReader", (cls,), {"storage": storage})

    def __attrs_post_init__(self) -> None:
        """Take grid and zoom levels from the projection extension, so that no file is opened to answer 'where'."""
        self.assets = [name for name, asset in self.input["assets"].items() if _is_raster(asset)]
        self.bounds, self.crs = _bounds(self.input["bbox"]), WGS84_CRS
        properties, asset = self.input.get("properties") or {}, self.input["assets"].get(DATA, {})
        code = asset.get("proj:code") or properties.get("proj:code")
        code = code or asset.get("proj:epsg") or properties.get("proj:epsg")
        transform = asset.get("proj:transform") or properties.get("proj:transform")
        shape = asset.get("proj:shape") or properties.get("proj:shape")
        if code and transform and shape:
            try:
                self.crs = CRS.from_user_input(code)
                self.height, self.width = int(shape[0]), int(shape[1])
                self.transform = Affine(*transform[:6])
                self.bounds = array_bounds(self.height, self.width, self.transform)
            except CRSError:
                self.crs = WGS84_CRS
        self.minzoom = self.minzoom if self.minzoom is not None else self._minzoom
        self.maxzoom = self.maxzoom if self.maxzoom is not None else self._maxzoom

    def info(self, assets: Sequence[AssetType] | AssetType | None = None, **kwargs: object) -> dict[str, Info]:
        """What GDAL says of the named assets, of `data` where none is named."""
        found: dict[str, Info] = super().info(assets or [DATA], **kwargs)
        return found

    def _get_asset_info(self, asset: AssetType) -> AssetInfo:
        wanted = {"name": asset} if isinstance(asset, str) else asset
        name = wanted.get("name")
        if name not in self.assets:
            raise InvalidAssetName(f"'{name}' is no raster asset of this item; it has {', '.join(self.assets)}.")
        stored = self.input["assets"][name]
        blob = self.storage.parse_href(stored["href"])
        if blob is None:
            raise InvalidAssetName(f"'{name}' is not kept in this system's storage.")
        reader_options, method_options = self._get_options(wanted, stored)
        return AssetInfo(
            url=self.storage.gdal_path(blob),
            name=name,
            media_type=stored.get("type"),
            reader_options=reader_options,
            method_options=method_options,
            env=dict(self.storage.gdal_options(blob)),
        )


def _is_raster(asset: Mapping[str, object]) -> bool:
    return "tiff" in str(asset.get("type", "")) or str(asset.get("href", "")).lower().endswith((".tif", ".tiff"))


def _bounds(box: Sequence[float]) -> tuple[float, float, float, float]:
    west, south, east, north = box if len(box) == 4 else (box[0], box[1], box[3], box[4])
    return (west, south, east, north)
