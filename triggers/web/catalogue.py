"""The STAC API over pgSTAC: each caller sees the items he may see, and the collections that hold one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import attr
import orjson
from fastapi import FastAPI, Request
from stac_fastapi.api.middleware import ProxyHeaderMiddleware
from stac_fastapi.extensions import (
    CollectionSearchFilterExtension,
    ItemCollectionFilterExtension,
    SearchFilterExtension,
)
from stac_fastapi.pgstac.app import instantiate_api
from stac_fastapi.pgstac.config import Settings
from stac_fastapi.pgstac.core import CoreCrudClient
from stac_fastapi.pgstac.db import get_connection
from stac_fastapi.pgstac.extensions.filter import FiltersClient
from stac_fastapi.pgstac.models.extensions import Extensions
from stac_fastapi.pgstac.types.search import PgstacSearch
from stac_fastapi.types.errors import InvalidQueryParameter, NotFoundError
from starlette.middleware.cors import CORSMiddleware

from infrastructure.postgres.queries import Queries
from triggers.web.edge import Edge, View, site_url, view_of
from triggers.web.mounts import Mount, MountSettings
from triggers.web.pools import pool_in_state, probe
from triggers.web.presentation import present
from triggers.web.problems import install

_SQL = Queries("serving")
Json = Mapping[str, object]

_COMPARISONS = {"eq": "=", "ne": "<>", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def _equals(name: str, value: object) -> Json:
    return {"op": "=", "args": [{"property": name}, value]}


def _within(view: View, reads: Sequence[str]) -> list[Json]:
    """The view as CQL2 conditions, the same as `app.may_see` in SQL. Of the datasets `reads` the caller is a reader."""
    parts = [] if view.published is None else [_equals("app:published", view.published)]
    if not view.everything:
        seen = [_all_of([_equals("app:published", True), _equals("platform:access_level", "public")])]
        if view.client_id:
            seen.append(_equals("platform:client", view.client_id))
        if reads:
            among: Json = {"op": "in", "args": [{"property": "platform:dataset_id"}, list(reads)]}
            restricted = _equals("platform:access_level", "restricted")
            seen.append(_all_of([_equals("app:published", True), restricted, among]))
        parts.append({"op": "or", "args": seen} if len(seen) > 1 else seen[0])
    return parts


def _as_filter(query: Mapping[str, Mapping[str, object]]) -> list[Json]:
    """The query extension's conditions as CQL2; pgSTAC takes one or the other."""
    parts: list[Json] = []
    for name, conditions in query.items():
        for comparison, value in conditions.items():
            op = _COMPARISONS.get(str(getattr(comparison, "value", comparison)))
            if op is None:
                raise InvalidQueryParameter(f"The query uses {comparison!r}, which is no comparison here.")
            parts.append({"op": op, "args": [{"property": name}, value]})
    return parts


def _all_of(parts: Sequence[Json]) -> Json:
    return parts[0] if len(parts) == 1 else {"op": "and", "args": list(parts)}


@attr.s
class PublishedClient(CoreCrudClient):  # type: ignore[misc]
    """The library's client, seeing what the caller may see. Every item answer passes `_search_base`."""

    settings: MountSettings = attr.ib(kw_only=True)
    landing_page_id: str = attr.ib(default="geomachine", kw_only=True)

    async def all_collections(self, request: Request, **kwargs: object):  # type: ignore[no-untyped-def]
        """Collections with at least one item that the caller may see; all of them to who sees everything."""
        ids, view = None, view_of(request)
        if not view.whole:
            async with request.app.state.get_connection(request, "r") as connection:
                ids = [row["id"] for row in await connection.fetch(_SQL["visible_collections"], *view.parameters)]
        return await super().all_collections(request=request, visible=ids, **kwargs)

    async def get_collection(self, collection_id: str, request: Request, **kwargs: object):  # type: ignore[no-untyped-def]
        """The collection, or NotFoundError where the caller may see none of its items."""
        await refuse_hidden(collection_id, request)
        collection = await super().get_collection(collection_id, request=request, **kwargs)
        return present(collection, site_url(request, self.settings), self.settings)

    async def _search_base(self, search_request: PgstacSearch, request: Request):  # type: ignore[no-untyped-def]
        view = view_of(request)
        # A caller's conf could switch pgSTAC to a filter language that reads our condition otherwise.
        search_request.conf = {}
        if conditions := _within(view, await self._reads(request)):
            parts = _as_filter(getattr(search_request, "query", None) or {})
            parts += [given] if (given := search_request.filter_expr) else []
            search_request.query = None
            search_request.filter_expr = _all_of([*parts, *conditions])
            search_request.filter_lang = "cql2-json"
            await self._refuse_foreign_token(getattr(search_request, "token", None), request)
        found = await super()._search_base(search_request, request=request)
        site = site_url(request, self.settings)
        found["features"] = [present(feature, site, self.settings) for feature in found["features"]]
        return found

    async def _reads(self, request: Request) -> list[str]:
        """The datasets whose restricted data the caller may see although they are not his."""
        view = view_of(request)
        if view.everything or view.client_id is None:
            return []
        async with request.app.state.get_connection(request, "r") as connection:
            return [row["dataset_id"] for row in await connection.fetch(_SQL["readable_datasets"], view.client_id)]

    async def _refuse_foreign_token(self, token: str | None, request: Request) -> None:
        # A token names the item to continue from: a hidden one would tell where its values sort.
        view = view_of(request)
        if not token or view.whole:
            return
        collection, _, item = token.removeprefix("next:").removeprefix("prev:").partition(":")
        async with request.app.state.get_connection(request, "r") as connection:
            if not await connection.fetchval(_SQL["item_visible"], collection, item, *view.parameters):
                raise InvalidQueryParameter("The token does not belong to this search; start again without it.")

    def _clean_search_args(self, base_args, visible=None, **kwargs):  # type: ignore[no-untyped-def]
        clean = super()._clean_search_args(base_args, **kwargs)
        if visible is not None:
            parts = _as_filter(clean.pop("query", None) or {})
            parts += [given] if (given := clean.pop("filter", None)) else []
            among: Json = {"op": "in", "args": [{"property": "id"}, visible]}
            nothing: Json = {"op": "=", "args": [{"property": "id"}, ""]}
            clean["filter"] = _all_of([*parts, among if visible else nothing])
            clean["filter_lang"] = "cql2-json"
        return clean


async def refuse_hidden(collection_id: str, request: Request) -> None:
    """NotFoundError, worded as for a missing collection, unless the caller may see an item of it."""
    view = view_of(request)
    if view.whole:
        return
    async with request.app.state.get_connection(request, "r") as connection:
        if not await connection.fetchval(_SQL["collection_visible"], collection_id, *view.parameters):
            raise NotFoundError(f"Collection {collection_id} does not exist.")


class PublishedFilters(FiltersClient):  # type: ignore[misc]
    """Queryables of the collections the caller may see."""

    async def get_queryables(self, request: Request, collection_id: str | None = None, **kwargs: object):  # type: ignore[no-untyped-def]
        """The collection's queryables, or those of all."""
        if collection_id is not None:
            await refuse_hidden(collection_id, request)
        return await super().get_queryables(request=request, collection_id=collection_id, **kwargs)


def _extensions(settings: Settings) -> Extensions:
    filters = PublishedFilters()
    return Extensions(
        search_map={"filter": SearchFilterExtension(client=filters)},
        collection_search_map={"filter": CollectionSearchFilterExtension(client=filters)},
        item_collection_map={"filter": ItemCollectionFilterExtension(client=filters)},
        settings=settings,
    )


def mount(settings: MountSettings) -> Mount:
    """The STAC API under `{prefix}/stac`, read only."""
    api_settings = Settings(
        stac_fastapi_title="Geomachine STAC API",
        stac_fastapi_description="Approved rasters and vector tables.",
        stac_fastapi_version="1.0",
        enable_transactions_extensions=False,
    )

    @asynccontextmanager
    async def no_lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield

    api = instantiate_api(
        client=lambda **kwargs: PublishedClient(settings=settings, **kwargs),
        extensions=_extensions(api_settings),
        lifespan=no_lifespan,
        settings=api_settings,
    )
    app: FastAPI = api.app
    # It believes any client's X-Forwarded-Host; the server in front decides whom to believe.
    # And whose pages may call is a setting of the whole service.
    unwanted = (ProxyHeaderMiddleware, CORSMiddleware)
    app.user_middleware = [m for m in app.user_middleware if not issubclass(cast("type", m.cls), unwanted)]
    app.state.get_connection = get_connection
    install(app, {NotFoundError: 404, InvalidQueryParameter: 400, orjson.JSONDecodeError: 400})

    def lifespan():  # type: ignore[no-untyped-def]
        return pool_in_state(app, "readpool", settings, "geomachine-stac")

    return Mount(f"{settings.prefix}/stac", Edge(app, settings, hidden=("/_mgmt",)), lifespan, probe(app, "readpool"))
