"""The task handlers of raster jobs: validate, create the COG, describe it."""

from __future__ import annotations

from datetime import UTC, datetime

from core.contracts.catalog import missing_collection
from core.contracts.context import TaskContext
from core.contracts.effects import UpsertCogMetadata, UpsertStacItem
from core.contracts.raster import (
    CogFile,
    CreateCogInput,
    CreateCogOutput,
    ExtractStacInput,
    Finding,
    RasterInspection,
    RasterStacReference,
    ValidateRasterInput,
)
from core.contracts.storage import BlobName
from core.errors import Conflict, Interrupted
from services.raster.cog import Watch, make_cog
from services.raster.gdal import gdal_session
from services.raster.georeference import parse_crs
from services.raster.inspect import inspect
from services.raster.metadata import RasterMetadata
from services.raster.names import cog_id
from services.raster.profiles import profile, tiers
from services.raster.source import locate
from services.raster.views import prepare
from services.stac.properties import Provenance, timestamp


def validate(params: ValidateRasterInput, ctx: TaskContext) -> RasterInspection:
    """Inspect the source once; refuse what cannot be published."""
    name = params.source
    if params.must_extend and ctx.catalog.collection(params.must_extend) is None:
        raise missing_collection(params.must_extend)
    if params.target_crs:
        parse_crs(params.target_crs, "target_crs")
    blob = ctx.storage.head(name)

    def progress(percent: float) -> None:
        _stop_if_asked(ctx)
        ctx.report_progress(percent, "Reading pixels")

    with gdal_session(ctx.storage, name):
        return inspect(locate(ctx.storage, name, ctx.workdir), blob, params, progress)


def create_cog(params: CreateCogInput, ctx: TaskContext) -> CreateCogOutput:
    """Write one COG per tier asked for, verified, under names made from their content."""
    name = params.inspection.source
    _unchanged(params.inspection, name, ctx)
    cogs: list[CogFile] = []
    findings: list[Finding] = []
    wanted = tiers(params.output_tier)
    with gdal_session(ctx.storage, name):
        located = locate(ctx.storage, name, ctx.workdir, fetch=True)
        with prepare(located, params, ctx.workdir) as prepared:
            for number, tier in enumerate(wanted):
                chosen, noticed = profile(tier, params.inspection, params.jpeg_quality)
                findings.extend(noticed)
                watch = _watch(ctx, tier.value, number, len(wanted))
                cogs.append(make_cog(prepared, chosen, params, ctx.workdir, ctx.storage, watch))
    ctx.report_progress(100.0, "COG stored")
    return CreateCogOutput(cogs=tuple(cogs), findings=tuple(findings))


def extract_stac(params: ExtractStacInput, ctx: TaskContext) -> RasterStacReference:
    """Describe the COG: catalogue row and STAC item, both written with this task's completion."""
    dataset = params.dataset
    provenance = Provenance(
        access_level=dataset.access_level,
        job_id=ctx.job_id,
        job_type=ctx.job_type,
        created_at=datetime.now(UTC),
        dataset_id=dataset.dataset_id,
        resource_id=dataset.resource_id,
        version_id=dataset.version_id,
        request_id=dataset.request_id,
        client_id=dataset.client_id,
    )
    metadata = RasterMetadata(params, provenance, ctx.storage)
    item = metadata.item()
    ctx.commit_with(UpsertCogMetadata(metadata.record()))
    ctx.commit_with(UpsertStacItem(metadata.collection(), item, must_exist=dataset.collection_must_exist))
    return RasterStacReference(
        collection_id=metadata.collection_id,
        item_id=metadata.item_id,
        bbox=metadata.cog.grid.bbox,
        cog_id=cog_id(metadata.collection_id, metadata.item_id),
        datetime=timestamp(metadata.datetime),
    )


def _unchanged(inspection: RasterInspection, name: BlobName, ctx: TaskContext) -> None:
    """The facts were taken from one version of the file; another one needs another job."""
    if ctx.storage.head(name).etag != inspection.etag:
        raise Conflict(f"{name} was replaced after it was validated.", hint="Submit it again.")


def _stop_if_asked(ctx: TaskContext) -> None:
    if ctx.should_stop():
        raise Interrupted("Stopped between two blocks of the raster; the next attempt starts over.")


def _watch(ctx: TaskContext, tier: str, number: int, count: int) -> Watch:
    """Told how far the COG of one of `count` tiers is; stops when asked to."""

    def watch(percent: float, doing: str) -> None:
        _stop_if_asked(ctx)
        ctx.report_progress((100.0 * number + percent) / count, f"{doing}: {tier} COG")

    return watch
