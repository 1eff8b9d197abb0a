"""`/api/raster/{cog_id}/renders`: named ways of drawing a COG, one of them its default."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from core.contracts.principals import Principal
from core.contracts.renders import RenderSpec
from core.errors import NotFound
from core.models.cogs import CogMetadata, RasterRenderConfig
from services.raster.renders import check_render
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.paging import PLAIN
from triggers.http.scope import Member, Reviewer

router = APIRouter(prefix="/api/raster/{cog_id}/renders", tags=["renders"])
CogId = Annotated[str, Path(max_length=255, pattern=PLAIN, description="`collection:item`.")]
RenderId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
_AUTOMATIC = "default"


class RenderBody(BaseModel):
    """How to draw a COG."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(None, max_length=255, pattern=PLAIN)
    description: str | None = Field(None, max_length=4000, pattern=PLAIN)
    render: RenderSpec
    is_default: bool = False


class NewRender(RenderBody):
    """The same with its name. `default` is the name of whichever is the default."""

    render_id: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")

    @field_validator("render_id")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value == _AUTOMATIC:
            raise ValueError("render_id 'default' names whichever render is the default; give is_default instead")
        return value


class RenderLinks(BaseModel):
    """Where the picture is seen."""

    preview: str
    tilejson: str
    tiles: str


class Render(BaseModel):
    """A way of drawing a COG. `automatic` is what the pipeline saw fit; it cannot be changed, only overruled."""

    cog_id: str
    render_id: str
    title: str | None
    description: str | None = None
    render: dict[str, JsonValue]
    is_default: bool
    automatic: bool = False
    created_by: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    links: RenderLinks


class RenderList(BaseModel):
    """All of a COG's, the automatic one first."""

    cog_id: str
    count: int
    renders: list[Render]


class DeletedRender(BaseModel):
    """What is gone."""

    success: bool = True
    cog_id: str
    render_id: str


@router.get("")
def listing(cog_id: CogId, runtime: TheRuntime, caller: Member, base: BaseUrl) -> RenderList:
    """Every way to draw the COG."""
    record = _visible(runtime.renders.cog(cog_id), caller)
    named = runtime.renders.list(cog_id)
    shown = [_automatic(record, named, base), *(_render(config, record, base) for config in named)]
    return RenderList(cog_id=cog_id, count=len(shown), renders=shown)


@router.get("/{render_id}")
def one(cog_id: CogId, render_id: RenderId, runtime: TheRuntime, caller: Member, base: BaseUrl) -> Render:
    """One named render, or the automatic one, which is called `default`."""
    record = _visible(runtime.renders.cog(cog_id), caller)
    if render_id == _AUTOMATIC:
        return _automatic(record, runtime.renders.list(cog_id), base)
    return _render(runtime.renders.get(cog_id, render_id), record, base)


@router.post("", status_code=201)
def create(cog_id: CogId, body: NewRender, runtime: TheRuntime, caller: Reviewer, base: BaseUrl) -> Render:
    """Add a render; 409 when its name is taken. As the default it takes the place of the one before."""
    return _write(cog_id, body.render_id, body, runtime, caller, base, new=True)


@router.put("/{render_id}")
def replace(
    cog_id: CogId, render_id: RenderId, body: RenderBody, runtime: TheRuntime, caller: Reviewer, base: BaseUrl
) -> Render:
    """Change a render; tiles and the item follow at once."""
    return _write(cog_id, render_id, body, runtime, caller, base, new=False)


@router.delete("/{render_id}")
def delete(cog_id: CogId, render_id: RenderId, runtime: TheRuntime, caller: Reviewer) -> DeletedRender:
    """Remove a render."""
    runtime.renders.delete(cog_id, render_id, caller)
    return DeletedRender(cog_id=cog_id, render_id=render_id)


def _write(
    cog_id: str, render_id: str, body: RenderBody, runtime: TheRuntime, caller: Principal, base: str, *, new: bool
) -> Render:
    config = RasterRenderConfig(
        cog_id=cog_id,
        render_id=render_id,
        title=body.title,
        description=body.description,
        render_spec={**({"title": body.title} if body.title else {}), **body.render.document()},
        is_default=body.is_default,
        created_by=caller.name,
    )
    written = runtime.renders.put(config, caller, check_render, new=new)
    return _render(written, runtime.renders.cog(cog_id), base)


def _visible(record: CogMetadata, caller: Principal) -> CogMetadata:
    if caller.may_see(record.client_id):
        return record
    raise NotFound(f"There is no COG {record.cog_id!r}.")


def _automatic(record: CogMetadata, named: Iterable[RasterRenderConfig], base: str) -> Render:
    return Render(
        cog_id=record.cog_id,
        render_id=_AUTOMATIC,
        title="Default view",
        render=record.default_render or {},
        is_default=not any(config.is_default for config in named),
        automatic=True,
        links=_links(record, None, base),
    )


def _render(config: RasterRenderConfig, record: CogMetadata, base: str) -> Render:
    return Render(
        cog_id=config.cog_id,
        render_id=config.render_id,
        title=config.title,
        description=config.description,
        render=config.render_spec,
        is_default=config.is_default,
        created_by=config.created_by,
        created_at=config.created_at,
        updated_at=config.updated_at,
        links=_links(record, config.render_id, base),
    )


def _links(record: CogMetadata, render_id: str | None, base: str) -> RenderLinks:
    item = f"{base}/api/raster/collections/{quote(record.stac_collection_id)}/items/{quote(record.stac_item_id)}"
    query = f"?render={quote(render_id)}" if render_id else ""
    return RenderLinks(
        preview=f"{item}/preview.png{query}",
        tilejson=f"{item}/WebMercatorQuad/tilejson.json{query}",
        tiles=f"{item}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png{query}",
    )
