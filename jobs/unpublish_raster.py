"""`unpublish_raster`: takes a raster out of the catalogue in one transaction, and deletes its files after it."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.unpublish_raster import (
    UNPUBLISH_BLOB,
    UNPUBLISH_INVENTORY,
    UNPUBLISH_STAC,
    BlobInput,
    UnpublishRasterParameters,
    UnpublishRasterResult,
)

NAME = "unpublish_raster"
_INVENTORY, _STAC, _BLOBS = "inventory", "delete_stac", "delete_blobs"


def _plan_inventory(params: UnpublishRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("raster", params)


def _plan_stac(params: UnpublishRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    if not params.dry_run:
        yield TaskSpec("raster", params)


def _plan_blobs(_: UnpublishRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    if not results.of(UNPUBLISH_STAC, _STAC):
        return
    for blob in results.one(UNPUBLISH_INVENTORY, _INVENTORY).blobs:
        container, path = blob.split("/", 1)
        yield TaskSpec(blob, BlobInput(container=container, path=path))


def _finalize(params: UnpublishRasterParameters, results: StageResults) -> UnpublishRasterResult:
    inventory = results.one(UNPUBLISH_INVENTORY, _INVENTORY)
    blobs = results.of(UNPUBLISH_BLOB, _BLOBS)
    return UnpublishRasterResult(
        job_type=NAME,
        dry_run=params.dry_run,
        stac_item_id=params.stac_item_id,
        collection_id=params.collection_id,
        inventory=inventory,
        needs_force=inventory.approved,
        removed=bool(results.of(UNPUBLISH_STAC, _STAC)),
        blobs_deleted=tuple(sorted(blob for blob, answer in blobs.items() if not answer.kept)),
        blobs_kept=tuple(sorted(blob for blob, answer in blobs.items() if answer.kept)),
        stages_completed=len(JOB.stages),
    )


JOB = Job(
    name=NAME,
    description="Take a raster back: catalogue entry first, in one transaction, then its files.",
    parameters=UnpublishRasterParameters,
    result=UnpublishRasterResult,
    stages=(
        Stage(_INVENTORY, UNPUBLISH_INVENTORY, _plan_inventory),
        Stage(_STAC, UNPUBLISH_STAC, _plan_stac),
        Stage(_BLOBS, UNPUBLISH_BLOB, _plan_blobs, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    repeatable=True,
)
