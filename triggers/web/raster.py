"""Information, previews and tiles of COG items and whole collections, opened only by their place in the catalogue."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from rio_tiler.errors import NoAssetFoundError
from starlette.responses import HTMLResponse
from titiler.core.dependencies import AssetsExprParams
from titiler.core.errors import DEFAULT_STATUS_CODES
from titiler.core.factory import ColorMapFactory, MultiBaseTilerFactory, TMSFactory
from titiler.mosaic.factory import MosaicTilerFactory

from triggers.web.cog_items import CogGate, CogReader, gated_item, gated_mosaic
from triggers.web.edge import Edge
from triggers.web.map_page import map_page
from triggers.web.mosaics import Mosaic, MosaicBackend
from triggers.web.mounts import Mount, MountSettings
from triggers.web.pools import pool_in_state, probe
from triggers.web.problems import install

_COLLECTION = "/collections/{collection_id}"
_ITEM = "/collections/{collection_id}/items/{item_id}"


class _CollectionTiler(MosaicTilerFactory):
    """The routes that the gate knows."""

    def register_routes(self) -> None:
        """Tiles, their description, and the picture of a box."""
        self.tile()  # type: ignore[no-untyped-call]
        self.tilejson()  # type: ignore[no-untyped-call]
        self.part()  # type: ignore[no-untyped-call]
        self.router.routes = [r for r in self.router.routes if isinstance(r, APIRoute) and r.methods == {"GET"}]


def mount(settings: MountSettings) -> Mount:
    """The tile server under `{prefix}/raster`. No endpoint takes an address or a search."""
    app = FastAPI(title="Geomachine raster tiles", openapi_url="/api", docs_url="/api.html", redoc_url=None)

    def item_source(request: Request, collection_id: str, item_id: str) -> dict[str, object]:
        return gated_item(request)

    @app.get("/map/{collection_id}/{item_id}", include_in_schema=False)
    def viewer(request: Request, collection_id: str, item_id: str) -> HTMLResponse:
        return map_page(request, "raster", "collections", collection_id, "items", item_id)

    def mosaic_source(request: Request, collection_id: str) -> Mosaic:
        return gated_mosaic(request)

    items = MultiBaseTilerFactory(
        reader=CogReader.of(settings.storage),
        path_dependency=item_source,
        router_prefix=_ITEM,
        add_viewer=False,
    )
    app.include_router(items.router, prefix=_ITEM, tags=["Items"])
    collections = _CollectionTiler(
        backend=MosaicBackend,
        dataset_reader=CogReader.of(settings.storage),
        path_dependency=mosaic_source,
        layer_dependency=AssetsExprParams,
        router_prefix=_COLLECTION,
    )
    app.include_router(collections.router, prefix=_COLLECTION, tags=["Collections"])
    app.include_router(TMSFactory().router, tags=["Tile matrix sets"])
    app.include_router(ColorMapFactory().router, tags=["Colour maps"])

    @app.get("/", tags=["Landing page"])
    def landing(request: Request) -> dict[str, object]:
        base = str(request.base_url).rstrip("/")
        return {
            "title": app.title,
            "links": [
                {"rel": "self", "type": "application/json", "href": f"{base}/"},
                {"rel": "service-desc", "type": "application/json", "href": f"{base}/api"},
                {"rel": "service-doc", "type": "text/html", "href": f"{base}/api.html"},
                {"rel": "tiling-schemes", "type": "application/json", "href": f"{base}/tileMatrixSets"},
            ],
        }

    app.add_middleware(CogGate)
    known = {kind: status for kind, status in DEFAULT_STATUS_CODES.items() if kind is not Exception}
    install(app, {**known, NoAssetFoundError: 404})

    def lifespan():  # type: ignore[no-untyped-def]
        return pool_in_state(app, "pool", settings, "geomachine-raster")

    return Mount(f"{settings.prefix}/raster", Edge(app, settings), lifespan, probe(app, "pool"))
