"""Taking a raster back: looking, the one transaction, and the files last.

Whoever finds an entry of the catalogue finds its file. A worker that dies between the transaction and the files leaves
tasks that delete them.
"""

from __future__ import annotations

from core.contracts.assets import output
from core.contracts.context import TaskContext
from core.contracts.effects import RemoveRaster
from core.contracts.storage import BlobName
from core.contracts.unpublish_raster import (
    BlobDeleted,
    BlobInput,
    RasterInventory,
    RasterRemoved,
    UnpublishRasterParameters,
)
from core.errors import Conflict, NotFound
from services.raster.mosaics import mosaic_without


def inventory(params: UnpublishRasterParameters, ctx: TaskContext) -> RasterInventory:
    """What there is of the raster. Raises NotFound, and Conflict for an approved one that is not forced."""
    found = ctx.catalog.raster(params.collection_id, params.stac_item_id)
    label = f"{params.collection_id}/{params.stac_item_id}"
    if found is None:
        raise NotFound(f"There is no raster {label}.", hint="Check collection_id and stac_item_id.")
    if found.approved and not params.dry_run:
        refuse_approved(label, force=params.force_approved)
    blobs = {str(name) for href in found.hrefs if (name := output(ctx.storage, href))}
    return RasterInventory(
        cog_id=found.cog_id,
        item=found.item,
        approved=found.approved,
        blobs=tuple(sorted(blobs)),
        renders=found.renders,
        dataset_refs=found.dataset_refs,
        other_items=found.other_items,
    )


def remove(params: UnpublishRasterParameters, ctx: TaskContext) -> RasterRemoved:
    """Item, row, references, renders and reviews go in the transaction that completes this task."""
    ctx.commit_with(
        RemoveRaster(
            collection_id=params.collection_id,
            item_id=params.stac_item_id,
            force_approved=params.force_approved,
            delete_collection=params.delete_collection,
            by=params.requested_by or ctx.job_type,
            reason=params.reason or "Unpublished on request.",
            mosaic_file=mosaic_without(ctx, params.collection_id, params.stac_item_id),
        )
    )
    return RasterRemoved(collection_id=params.collection_id, item_id=params.stac_item_id)


def delete_blob(task: BlobInput, ctx: TaskContext) -> BlobDeleted:
    """Delete a file, unless something was catalogued under its name meanwhile. Twice does no harm."""
    if ctx.catalog.cataloged(task.container, [task.path]):
        return BlobDeleted(deleted=False, kept=True)
    return BlobDeleted(deleted=ctx.storage.delete(BlobName(task.container, task.path)))


def refuse_approved(label: str, *, force: bool) -> None:
    """Raise Conflict unless forced: the public sees it."""
    if not force:
        raise Conflict(
            f"{label} is approved and the public sees it.", hint="Revoke its approval first, or give force_approved."
        )
