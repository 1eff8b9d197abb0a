"""Taking a raster back: what there is of it, what becomes of it."""

from __future__ import annotations

from core.contracts.jobs import JobResult
from core.contracts.raster import Identifier
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.contracts.unpublish import UnpublishParameters


class UnpublishRasterParameters(UnpublishParameters):
    """Parameters of `unpublish_raster`."""

    stac_item_id: Identifier
    collection_id: Identifier


class RasterInventory(Contract):
    """What there is of a raster. `blobs` are `container/path`, outputs of ours only."""

    cog_id: str | None = None
    item: bool  #: the STAC item is there
    approved: bool  #: the public sees it
    blobs: tuple[str, ...] = ()
    renders: int = 0
    dataset_refs: int = 0
    other_items: int = 0  #: that stay in the collection


class RasterRemoved(Contract):
    """What was taken out, in one transaction."""

    collection_id: str
    item_id: str


class BlobInput(Contract):
    """A file that nothing refers to any more."""

    container: str
    path: str


class BlobDeleted(Contract):
    """Whether it is gone: kept when a newer entry of the catalogue uses it, absent when it was gone before."""

    deleted: bool
    kept: bool = False


class UnpublishRasterResult(JobResult):
    """Result of `unpublish_raster`. With `dry_run` it says what would be removed."""

    dry_run: bool
    stac_item_id: str
    collection_id: str
    inventory: RasterInventory
    needs_force: bool
    removed: bool
    blobs_deleted: tuple[str, ...]
    blobs_kept: tuple[str, ...]
    stages_completed: int


UNPUBLISH_INVENTORY = TaskType(
    "unpublish_inventory_raster",
    UnpublishRasterParameters,
    RasterInventory,
    queue=Queue.RASTER,
    weight=Weight.HEAVY,
)
UNPUBLISH_STAC = TaskType(
    "unpublish_delete_stac", UnpublishRasterParameters, RasterRemoved, queue=Queue.RASTER, weight=Weight.HEAVY
)
UNPUBLISH_BLOB = TaskType("unpublish_delete_blob", BlobInput, BlobDeleted, queue=Queue.RASTER, weight=Weight.HEAVY)
