"""The task handlers of raster jobs: validate, create the COG, describe it."""

from __future__ import annotations

from core.contracts.catalog import Catalog, missing_collection
from core.contracts.context import TaskContext
from core.contracts.effects import UpsertStacItem
from core.contracts.raster import (
    CogFile,
    CreateCogInput,
    CreateCogOutput,
    ExtractStacInput,
    RasterInspection,
    RasterStacReference,
    ValidateRasterInput,
)
from core.errors import Conflict, Interrupted
from services.raster.cog import Watch, make_cog
from services.raster.describing import after_item, before_item, metadata_of, reference
from services.raster.gdal import gdal_session
from services.raster.georeference import parse_crs
from services.raster.inspect import inspect
from services.raster.metadata import RasterMetadata
from services.raster.mosaics import mosaic_file
from services.raster.profiles import profile, tiers
from services.raster.source import Located, locate
from services.raster.views import prepare


def validate(params: ValidateRasterInput, ctx: TaskContext) -> RasterInspection:
    """Inspect the source once; refuse what cannot be published."""
    name, request = params.source, admitted(params, ctx.catalog, ctx.max_raster_pixels)

    def progress(percent: float) -> None:
        _stop_if_asked(ctx)
        ctx.report_progress(percent, "Reading pixels")

    with gdal_session(ctx.storage, name):
        return inspect(locate(ctx.storage, name, ctx.workdir, variable=request.variable), request, progress)


def admitted(params: ValidateRasterInput, catalog: Catalog, max_pixels: int) -> ValidateRasterInput:
    """The request with the system's limit, unless it has its own. Raises what needs no look at the file."""
    if params.must_extend and catalog.collection(params.must_extend) is None:
        raise missing_collection(params.must_extend)
    if params.target_crs:
        parse_crs(params.target_crs, "target_crs")
    return params if params.max_pixels else params.model_copy(update={"max_pixels": max_pixels})


def create_cog(params: CreateCogInput, ctx: TaskContext) -> CreateCogOutput:
    """Write one COG per tier asked for, verified, under names made from their content."""
    name = params.inspection.source
    cogs: list[CogFile] = []
    wanted = [profile(tier, params.inspection, params.jpeg_quality) for tier in tiers(params.output_tier)]
    profiles = [chosen for chosen, _ in wanted]
    with gdal_session(ctx.storage, name):
        # A window is read where it lies: fetching the whole for each would read the source once a tile.
        alone, variable = params.window is None, params.inspection.variable
        located = locate(ctx.storage, name, ctx.workdir, fetch=alone, variable=variable)
        unchanged(located, params.inspection)
        with prepare(located, params, profiles, ctx.workdir) as prepared:
            for number, chosen in enumerate(profiles):
                watch = _watch(ctx, chosen.tier.value, number, len(profiles))
                cogs.append(make_cog(prepared, chosen, params, ctx.workdir, ctx.storage, watch))
    ctx.report_progress(100.0, "COG stored")
    findings = tuple(finding for _, noticed in wanted for finding in noticed)
    return CreateCogOutput(cogs=tuple(cogs), findings=findings)


def extract_stac(params: ExtractStacInput, ctx: TaskContext) -> RasterStacReference:
    """Describe the COG: catalogue row and STAC item, both written with this task's completion."""
    return publish(metadata_of(params, ctx), ctx, must_exist=params.dataset.collection_must_exist)


def publish(metadata: RasterMetadata, ctx: TaskContext, *, must_exist: bool = False) -> RasterStacReference:
    """Have row, item and dataset reference written with the task's completion; where they will be found.

    A collection that has a MosaicJSON gets one that also lists this item.
    """
    item = metadata.item()
    file, _ = mosaic_file(ctx, metadata.record.stac_collection_id, [item], wanted=False)
    for effect in before_item(metadata):
        ctx.commit_with(effect)
    ctx.commit_with(UpsertStacItem(metadata.collection(), item, must_exist=must_exist, mosaic_file=file))
    for effect in after_item(metadata):
        ctx.commit_with(effect)
    return reference(metadata)


def unchanged(located: Located, inspection: RasterInspection) -> None:
    """The facts were taken from one version of the file; another one needs another job. Raises Conflict."""
    if located.blob.etag != inspection.etag:
        raise Conflict(f"{located.name} was replaced after it was validated.", hint="Submit it again.")


def _stop_if_asked(ctx: TaskContext) -> None:
    if ctx.should_stop():
        raise Interrupted("Stopped between two blocks of the raster; the next attempt starts over.")


def _watch(ctx: TaskContext, tier: str, number: int, count: int) -> Watch:
    """Told how far the COG of one of `count` tiers is; stops when asked to."""

    def watch(percent: float, doing: str) -> None:
        _stop_if_asked(ctx)
        ctx.report_progress((100.0 * number + percent) / count, f"{doing}: {tier} COG")

    return watch
