"""OGC API Features and vector tiles over the catalogued tables of schema geo, and nothing else in the database."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, cast

import asyncpg
from fastapi import Depends, FastAPI, Path, Request
from starlette.responses import HTMLResponse
from starlette_cramjam.middleware import CompressionMiddleware
from tipg.collections import Collection, CollectionList, PgCollection
from tipg.database import connection_factory
from tipg.dependencies import CollectionsParams, bbox_query, datetime_query
from tipg.errors import (
    DEFAULT_STATUS_CODES,
    MissingDatetimeColumn,
    MissingGeometryColumn,
    NotFound,
)
from tipg.factory import Endpoints

from triggers.web.edge import Edge
from triggers.web.feature_tables import FeatureTables
from triggers.web.map_page import map_page
from triggers.web.mounts import Mount, MountSettings
from triggers.web.pools import pool_in_state, probe
from triggers.web.problems import install

#: What the library raises for a question that does not fit the table, whatever status it would give it.
_ASKED_WRONGLY = (
    *(kind for kind, status in DEFAULT_STATUS_CODES.items() if status < 500),
    MissingDatetimeColumn,
    MissingGeometryColumn,
)


def mount(settings: MountSettings) -> Mount:
    """OGC API Features and Tiles under `{prefix}/features`."""
    app = FastAPI(
        title="Geomachine OGC API Features and vector tiles", openapi_url="/api", docs_url="/api.html", redoc_url=None
    )
    tables = FeatureTables(app)

    async def table(
        request: Request, collection_id: Annotated[str, Path(alias="collectionId", description="Table name")]
    ) -> PgCollection:
        return await tables.one(request, collection_id)

    async def catalogue(
        request: Request,
        bbox: Annotated[list[float] | None, Depends(bbox_query)],
        interval: Annotated[list[str] | None, Depends(datetime_query)],
        limit: int | None = None,
        offset: int | None = None,
    ) -> CollectionList:
        visible = {found.id: found for found in await tables.all(request)}
        # tipg filters and pages a catalogue it takes from the app; this caller's is given in its place.
        state = SimpleNamespace(collection_catalog={"collections": visible, "last_updated": None})
        stand_in = SimpleNamespace(app=SimpleNamespace(state=state))
        return CollectionsParams(cast("Request", stand_in), bbox, interval, None, limit, offset)

    @app.get("/collections/{collection_id}/viewer", include_in_schema=False)
    @app.get("/collections/{collection_id}/tiles/WebMercatorQuad/map.html", include_in_schema=False)
    def viewer(request: Request, collection_id: str) -> HTMLResponse:
        return map_page(request, "table", "collections", collection_id)

    endpoints = Endpoints(
        title=app.title,
        collection_dependency=cast("Callable[..., Collection]", table),  # FastAPI awaits it; tipg declares it plain
        collections_dependency=cast("Callable[..., CollectionList]", catalogue),
        with_tiles_viewer=False,
    )
    app.include_router(endpoints.router)
    app.add_middleware(CompressionMiddleware, compression_level=6)
    install(app, {kind: 404 if kind is NotFound else 400 for kind in _ASKED_WRONGLY})

    def lifespan():  # type: ignore[no-untyped-def]
        return pool_in_state(app, "pool", settings, "geomachine-features", init=_register_functions)

    return Mount(f"{settings.prefix}/features", Edge(app, settings), lifespan, probe(app, "pool"))


async def _register_functions(connection: asyncpg.Connection) -> None:
    # tipg describes tables by functions it creates in pg_temp, which a read-only transaction refuses.
    await connection.execute("SET default_transaction_read_only = off")
    await connection_factory(schemas=["geo"], tipg_schema="pg_temp")(connection)
    await connection.execute("SET default_transaction_read_only = on")
