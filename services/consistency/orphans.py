"""The stages of detect_orphan_blobs: outputs that nothing speaks of, and what could be done with each."""

from __future__ import annotations

from core.contracts.consistency import LookedAt, LookedAtPage, OrphanBlobs, OrphanBlobsParameters, OrphanPage
from core.contracts.context import TaskContext
from core.contracts.raster_reports import FileKind
from core.contracts.storage import BlobName
from core.errors import SourceNotFound
from services.containers.inventory import kind_of


def inventory(parameters: OrphanBlobsParameters, ctx: TaskContext) -> OrphanBlobs:
    """By the rule of a comparison, in one listing."""
    return ctx.consistency.orphans(parameters)


def look(page: OrphanPage, ctx: TaskContext) -> LookedAtPage:
    """Whether each is there still, and which job could catalogue it."""
    return LookedAtPage(
        blobs=tuple(
            LookedAt(
                path=blob.path,
                size=blob.size,
                modified=blob.modified,
                gone=_gone(BlobName(page.container_name, blob.path), ctx),
                job_type="register_silver_blobs" if kind_of(blob.path) is FileKind.RASTER else None,
            )
            for blob in page.blobs
        )
    )


def _gone(name: BlobName, ctx: TaskContext) -> bool:
    try:
        ctx.storage.head(name)
    except SourceNotFound:
        return True
    return False
