"""`/api/features/collections/{id}/styles`: how a feature table is drawn, after OGC API Styles.

A style is stored once and answered as MapLibre's or in the stored encoding. Whoever sees a table sees its styles.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from core.contracts.principals import Principal
from core.contracts.styles import StyleSpec, StyleWrite
from core.errors import Forbidden, InvalidRequest, NotAcceptable
from core.models.catalog import FeatureCollectionStyle
from infrastructure.postgres.feature_styles import StyledTable
from services.vector.maplibre import TileSource, maplibre_style
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.auth import Anyone
from triggers.http.paging import PLAIN
from triggers.http.scope import Partner

router = APIRouter(prefix="/api/features/collections/{collection_id}/styles", tags=["styles"])
CollectionId = Annotated[str, Path(max_length=80, pattern=PLAIN, description="A table, with or without `geo.`")]
StyleId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
Caller = Annotated[Principal | None, Depends(Anyone())]

_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")  # RFC 9110, 12.4.2
MAPBOX = "application/vnd.mapbox.style+json"
STORED = "application/vnd.ogc.cartosym+json"


class Encoding(StrEnum):
    """In which words a style is answered."""

    MAPBOX = "mapbox"  #: for MapLibre and Mapbox GL, with the tiles as its source
    STORED = "cartosym"  #: as it is stored, and may be sent back


class Link(BaseModel):
    """Where to go from here."""

    rel: str
    href: str
    type: str
    title: str | None = None


class Style(BaseModel):
    """A style in a list."""

    id: str
    title: str | None
    description: str | None
    is_default: bool
    updated_at: datetime | None
    links: list[Link]


class StyleList(BaseModel):
    """A table's styles; `default` is the one to use when nobody chooses."""

    collection_id: str
    default: str | None
    styles: list[Style]
    links: list[Link]


class Deleted(BaseModel):
    """What is gone."""

    success: bool = True
    collection_id: str
    style_id: str


@router.get("")
def listing(collection_id: CollectionId, runtime: TheRuntime, caller: Caller, base: BaseUrl) -> StyleList:
    """Every style of the table, the default first."""
    name = _table(runtime, collection_id, caller).catalog.table_name
    found = runtime.styles.list(name)
    url = _url(base, name)
    return StyleList(
        collection_id=name,
        default=next((style.style_id for style in found if style.is_default), None),
        styles=[_style(style, url) for style in found],
        links=[Link(rel="self", href=url, type="application/json")],
    )


@router.get("/{style_id}", response_class=JSONResponse, responses={200: {"content": {MAPBOX: {}, STORED: {}}}})
def one(
    collection_id: CollectionId,
    style_id: StyleId,
    runtime: TheRuntime,
    caller: Caller,
    base: BaseUrl,
    request: Request,
    f: Annotated[Encoding | None, Query(description="Wins over the Accept header.")] = None,
) -> Response:
    """One style, as MapLibre's unless `f` or Accept ask for the stored encoding."""
    table = _table(runtime, collection_id, caller)
    style = runtime.styles.get(table.catalog.table_name, style_id)
    encoding = f or _accepted(request.headers.get("accept", "*/*"))
    headers = {"Vary": "Accept, X-API-Key, Authorization", "Cache-Control": "no-cache"}
    if encoding is Encoding.STORED:
        return JSONResponse(style.style_spec, media_type=STORED, headers=headers)
    row = table.catalog
    bounds = [row.bbox_minx, row.bbox_miny, row.bbox_maxx, row.bbox_maxy]
    known = [edge for edge in bounds if edge is not None]
    tiles = f"{base}/api/features/collections/{quote(row.table_name)}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}"
    source = TileSource(tiles, known if len(known) == len(bounds) else None)
    title = style.title or f"{row.table_name} {style.style_id}"
    document = maplibre_style(title, StyleSpec.model_validate(style.style_spec), source)
    return JSONResponse(document, media_type=MAPBOX, headers=headers)


@router.put("/{style_id}", responses={201: {"model": Style}})
def put(
    collection_id: CollectionId,
    style_id: StyleId,
    body: StyleWrite,
    runtime: TheRuntime,
    caller: Partner,
    base: BaseUrl,
    response: Response,
) -> Style:
    """Add a style (201) or replace it (200). The default takes the place of the one before."""
    row = _own(runtime, collection_id, caller).catalog
    known = {"id", *(row.column_definitions or {})}
    missing = sorted(body.style.properties() - known)
    if missing:
        raise InvalidRequest(
            f"The selectors name {', '.join(missing)}, but {row.table_name} has {', '.join(sorted(known)[:40])}."
        )
    written, new = runtime.styles.put(
        FeatureCollectionStyle(
            collection_id=row.table_name,
            style_id=style_id,
            title=body.title,
            description=body.description,
            style_spec=body.style.model_dump(mode="json", exclude_none=True),
            is_default=body.is_default,
        ),
        caller,
    )
    response.status_code = 201 if new else 200
    return _style(written, _url(base, row.table_name))


@router.delete("/{style_id}")
def delete(collection_id: CollectionId, style_id: StyleId, runtime: TheRuntime, caller: Partner) -> Deleted:
    """Remove a style."""
    name = _own(runtime, collection_id, caller).catalog.table_name
    runtime.styles.delete(name, style_id, caller)
    return Deleted(collection_id=name, style_id=style_id)


def _table(runtime: TheRuntime, collection_id: str, caller: Principal | None) -> StyledTable:
    return runtime.styles.table(collection_id.removeprefix("geo."), caller)


def _own(runtime: TheRuntime, collection_id: str, caller: Principal) -> StyledTable:
    """The table, if it is the caller's or he is an admin. Raises NotFound or Forbidden."""
    found = _table(runtime, collection_id, caller)
    if not caller.may() and found.client_id != caller.client_id:
        raise Forbidden(
            f"Table {found.catalog.table_name} is not {caller.name}'s.", hint="Its client or an admin may style it."
        )
    return found


def _accepted(header: str) -> Encoding:
    """The first of the ranges, by weight, that one of the encodings fits. Raises NotAcceptable."""
    offers = {
        MAPBOX: Encoding.MAPBOX,
        STORED: Encoding.STORED,
        "application/json": Encoding.MAPBOX,
        "application/*": Encoding.MAPBOX,
        "*/*": Encoding.MAPBOX,
    }
    ranges = []
    for position, part in enumerate(header.lower().split(",")):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [float(found[1]) for p in parameters if (found := _WEIGHT.fullmatch(p))]
        weight = weights[0] if weights else 1.0
        if kind in offers and weight > 0:
            ranges.append((-weight, position, offers[kind]))
    if not ranges:
        raise NotAcceptable(f"A style is answered as {MAPBOX} or {STORED}.", hint="Send f=mapbox or f=cartosym.")
    return min(ranges)[2]


def _style(style: FeatureCollectionStyle, url: str) -> Style:
    href = f"{url}/{style.style_id}"
    return Style(
        id=style.style_id,
        title=style.title,
        description=style.description,
        is_default=style.is_default,
        updated_at=style.updated_at,
        links=[
            Link(rel="stylesheet", href=f"{href}?f={Encoding.MAPBOX}", type=MAPBOX, title="For MapLibre"),
            Link(rel="stylesheet", href=f"{href}?f={Encoding.STORED}", type=STORED, title="As it is stored"),
        ],
    )


def _url(base: str, table: str) -> str:
    return f"{base}/api/features/collections/{quote(table)}/styles"
