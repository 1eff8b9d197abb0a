"""The stages of repair_stac_items: what can be mended, and the repair of each kind."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from core.contracts.context import TaskContext
from core.contracts.effects import RepairDrift, RepairTarget
from core.contracts.repairs import (
    DriftToRepair,
    RepairedItem,
    RepairInventory,
    RepairOne,
    RepairStacItemsParameters,
)
from core.contracts.storage import BlobName
from core.errors import Conflict, DataError, RequestError
from core.models.consistency import DriftKind
from services.consistency.rebuilding import mended, of_cog, of_table
from services.raster.describe import multihash
from services.raster.metadata import RasterMetadata
from services.raster.mosaics import mosaic_file
from services.vector.metadata import VectorMetadata

_REBUILT = (
    DriftKind.RECORD_WITHOUT_STAC_ITEM,
    DriftKind.CHANGED_ITEM,
    DriftKind.WRONG_EXTENT,
    DriftKind.WRONG_COUNT,
    DriftKind.WRONG_SRID,
    DriftKind.MISSING_REF,
)


def inventory(parameters: RepairStacItemsParameters, ctx: TaskContext) -> RepairInventory:
    """The open findings that were asked for and need no person."""
    found = ctx.consistency.to_repair(parameters.findings, parameters.collection_id, parameters.limit)
    return RepairInventory(findings=tuple(found))


def repair(task: RepairOne, ctx: TaskContext) -> RepairedItem:
    """It is mended when the task completes, or marked as something for a person."""
    found, by = task.finding, task.requested_by or ctx.job_type
    try:
        effect = _effect(found, by, ctx)
    except (RequestError, DataError) as e:
        effect = RepairDrift(found.kind, found.object, RepairTarget(), by, found.finding_id, refused=e.message)
    return mended(effect, ctx)


def _effect(found: DriftToRepair, by: str, ctx: TaskContext) -> RepairDrift:
    cog_id, table = _text(found, "cog_id"), _text(found, "table_name")
    if found.kind in _REBUILT:
        if cog_id is not None:
            return of_cog(cog_id, found.kind, by, found.finding_id, ctx)
        return of_table(str(table), found.kind, by, found.finding_id, ctx)
    target = RepairTarget(_text(found, "collection_id"), _text(found, "item_id"), cog_id, table)
    effect = RepairDrift(found.kind, found.object, target, by, found.finding_id)
    match found.kind:
        case DriftKind.DANGLING_REF:
            return _with_ref(effect, ctx)
        case DriftKind.CHANGED_BLOB:
            return _with_etag(effect, BlobName(str(found.detail["container"]), str(found.detail["path"])), ctx)
        case DriftKind.STALE_MOSAIC:
            return _with_mosaic(effect, ctx)
        case _:
            return effect


def _text(found: DriftToRepair, name: str) -> str | None:
    value = found.detail.get(name)
    return None if value is None else str(value)


def _with_ref(effect: RepairDrift, ctx: TaskContext) -> RepairDrift:
    if effect.target.cog_id is not None:
        record = ctx.consistency.cog(effect.target.cog_id)
        return replace(effect, ref=RasterMetadata(record).dataset_ref() if record else None)
    live = ctx.tables.live("geo", str(effect.target.table_name))
    if live is None or live.catalog is None:
        return effect
    metadata = VectorMetadata.from_internal_db(live.catalog, ctx.tables.tracking(live.name))
    return replace(effect, ref=metadata.to_dataset_ref())


def _with_etag(effect: RepairDrift, name: BlobName, ctx: TaskContext) -> RepairDrift:
    """Names never stand for two contents: the file is read whole, and another content is for a person."""
    record = ctx.consistency.cog(str(effect.target.cog_id))
    described = {} if record is None else {record.blob_path: record.checksum}
    for other in (record.other_cogs if record else None) or ():
        described[str(other["blob_path"])] = str(other.get("checksum") or "") or None
    blob, digest = ctx.storage.head(name), hashlib.sha256()
    for piece in ctx.storage.stream(name):
        digest.update(piece)
    if not described.get(name.path):
        raise Conflict(f"Nobody knows the checksum of {name}.", hint="Look at it, then dismiss the finding.")
    if described[name.path] != multihash(digest.hexdigest()):
        raise Conflict(f"{name} has another content than described.", hint="Submit its source again.")
    return replace(effect, etag=blob.etag, path=name.path, expected=record.updated_at if record else None)


def _with_mosaic(effect: RepairDrift, ctx: TaskContext) -> RepairDrift:
    file, _ = mosaic_file(ctx, str(effect.target.collection_id), [], wanted=False)
    return replace(effect, mosaic_file=file)
