"""Copying ready-made COGs and registering them with what their own STAC items say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import cast

from pydantic import JsonValue, ValidationError

from core.contracts.context import TaskContext
from core.contracts.ingest import (
    CopiedItem,
    IngestBatch,
    IngestBatchInput,
    IngestOutcome,
    IngestRegisterInput,
    IngestStatus,
    ItemToCopy,
)
from core.contracts.raster import ExtractStacInput, RasterType
from core.contracts.raster_collection import CatalogedCollection
from core.contracts.storage import BlobName
from core.errors import DataError, Interrupted, InvalidRaster, InvalidRequest, RequestError
from core.naming import immutable_name, slug
from services.raster.cog import MEDIA_TYPE, sha256
from services.raster.collections import catalog
from services.raster.describing import metadata_of
from services.raster.existing import existing_cog, look
from services.raster.ingest_documents import failed, first_problem
from services.raster.metadata import RasterMetadata
from services.raster.part import part

#: Properties that are ours to state, or that the COG itself tells.
_OURS = ("app:", "platform:", "proj:", "raster:", "file:", "processing:", "geo:", "eo:bands", "renders")
_OF_THE_ROW = frozenset(
    {"title", "description", "license", "providers", "keywords", "datetime", "start_datetime", "end_datetime"}
    | {"created", "updated", "sci:doi", "sci:citation"}
)


def copy_batch(task: IngestBatchInput, ctx: TaskContext) -> IngestBatch:
    """Copy and inspect each COG of a batch; one that is bad is told and the others go on."""
    copied: list[CopiedItem] = []
    outcomes: list[IngestOutcome] = []
    for number, item in enumerate(task.items):
        if ctx.should_stop():
            raise Interrupted("Stopped between two items; files already copied keep their names.")
        try:
            with part(ctx, 100.0 * number / len(task.items), 100.0 * (number + 1) / len(task.items)) as alone:
                done = _copied(task, item, alone)
        except (DataError, RequestError) as e:
            outcomes.append(failed(item.item_id, e, item.blob))
            continue
        cog = done.request.cogs[0]
        copied.append(done)
        outcomes.append(
            IngestOutcome(
                item_id=item.item_id,
                status=IngestStatus.COMPLETED,
                source_blob=item.blob,
                cog_blob=cog.blob_name,
                size_mb=round(cog.size_bytes / 1e6, 3),
            )
        )
    return IngestBatch(copied=tuple(copied), outcomes=tuple(outcomes))


def register(task: IngestRegisterInput, ctx: TaskContext) -> CatalogedCollection:
    """Collection, items, rows and mosaic in one transaction."""
    described = [_told(metadata_of(item.request, ctx), item.document) for item in task.copied]
    return catalog(ctx, task.dataset, task.collection, described, mosaicjson=task.create_mosaicjson)


def _copied(task: IngestBatchInput, item: ItemToCopy, ctx: TaskContext) -> CopiedItem:
    source = BlobName(task.source_container, item.blob)
    inspection = look(source, RasterType.AUTO, ctx)
    _same_place(item, inspection.grid.bbox)
    local = ctx.workdir / "copy.tif"
    ctx.storage.download(source, local)
    folder = f"{slug(task.dataset.collection_id)}/ingested"
    checksum = sha256(local)
    target = immutable_name(task.target_container, folder, slug(item.item_id), checksum, ".tif")
    dataset = task.dataset.model_copy(update={"item_id": item.item_id, "title": None, "description": None})
    cog = existing_cog(target, inspection, checksum)
    made = ExtractStacInput(dataset=dataset, inspection=inspection, cogs=(cog,))
    _told(metadata_of(made, ctx), item.document)  # refused here, it is one item's fault and not all items'
    ctx.storage.upload(local, target, content_type=MEDIA_TYPE)
    return CopiedItem(document=item.document, request=made)


def _same_place(item: ItemToCopy, bbox: tuple[float, float, float, float]) -> None:
    """An item whose bbox is elsewhere describes another file."""
    stated = cast("list[float] | None", item.document.get("bbox"))
    if stated is None:
        return
    west, south, east, north = stated if len(stated) == 4 else (stated[0], stated[1], stated[3], stated[4])
    apart = north < bbox[1] or south > bbox[3]
    if west <= east and bbox[0] <= bbox[2]:
        apart = apart or east < bbox[0] or west > bbox[2]
    if apart:
        raise InvalidRaster(
            f"Item {item.item_id!r} says bbox {stated}, but {PurePosixPath(item.blob).name} lies at {list(bbox)}.",
            hint="Check that the item's asset names the right file.",
        )


def _told(metadata: RasterMetadata, document: Mapping[str, JsonValue]) -> RasterMetadata:
    """The row with what the item says that the pixels do not: times, words, and properties of its own."""
    properties = cast("Mapping[str, JsonValue]", document["properties"])
    start = properties.get("start_datetime") or properties.get("datetime")
    end = properties.get("end_datetime") or properties.get("datetime")
    extra = {k: v for k, v in properties.items() if k not in _OF_THE_ROW and not k.startswith(_OURS) and v is not None}
    told: dict[str, object] = {
        "temporal_start": datetime.fromisoformat(str(start)) if start else None,
        "temporal_end": datetime.fromisoformat(str(end)) if end else None,
        "datetime_source": "item" if start else None,
        "title": properties.get("title"),
        "description": properties.get("description"),
        "license": properties.get("license"),
        "providers": properties.get("providers"),
        "keywords": properties.get("keywords"),
        "sci_doi": properties.get("sci:doi"),
        "sci_citation": properties.get("sci:citation"),
        "custom_properties": {**(metadata.record.custom_properties or {}), **extra} or None,
    }
    known = {name: value for name, value in told.items() if value is not None}
    try:
        return RasterMetadata(type(metadata.record).model_validate({**dict(metadata.record), **known}))
    except ValidationError as e:
        raise InvalidRequest(f"Item {metadata.record.stac_item_id!r} cannot be kept: {first_problem(e)}") from e
