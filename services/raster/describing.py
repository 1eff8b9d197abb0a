"""How a converted raster enters the catalogue: its model, what the job answers, and the rows beside its item."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from core.contracts.context import TaskContext
from core.contracts.effects import Effect, UpsertCogMetadata, UpsertDatasetRef
from core.contracts.raster import ExtractStacInput, RasterStacReference
from services.raster.metadata import RasterMetadata
from services.stac.properties import Provenance, timestamp


def metadata_of(params: ExtractStacInput, ctx: TaskContext) -> RasterMetadata:
    """The catalogue's view of a raster that this job made."""
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
    return RasterMetadata.of(params, provenance, ctx.storage)


def before_item(metadata: RasterMetadata) -> Iterator[Effect]:
    """What has to be written before the item, which takes its renders from there."""
    yield UpsertCogMetadata(metadata.record)


def after_item(metadata: RasterMetadata) -> Iterator[Effect]:
    """What refers to the item."""
    ref = metadata.dataset_ref()
    if ref is not None:
        yield UpsertDatasetRef(ref)


def reference(metadata: RasterMetadata) -> RasterStacReference:
    """Where it will be found."""
    record = metadata.record
    assert record.temporal_start is not None  # whoever describes a raster gives it a time
    return RasterStacReference(
        collection_id=record.stac_collection_id,
        item_id=record.stac_item_id,
        bbox=metadata.bbox,
        cog_id=record.cog_id,
        datetime=timestamp(record.temporal_start),
    )
