"""detect_orphan_blobs: outputs in a container that nothing speaks of; nothing is deleted."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.consistency import (
    ORPHAN_BLOB_INVENTORY,
    ORPHAN_BLOB_LOOK,
    OrphanBlobsParameters,
    OrphanBlobsResult,
    OrphanPage,
)
from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec

_INVENTORY, _LOOK = "inventory", "look"
_PAGE = 200


def _plan_inventory(parameters: OrphanBlobsParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("container", parameters)


def _plan_look(parameters: OrphanBlobsParameters, results: StageResults) -> Iterator[TaskSpec]:
    blobs = results.one(ORPHAN_BLOB_INVENTORY, _INVENTORY).blobs
    for start in range(0, len(blobs), _PAGE):
        page = OrphanPage(container_name=parameters.container_name, blobs=blobs[start : start + _PAGE])
        yield TaskSpec(f"{start // _PAGE:04}", page)


def _finalize(parameters: OrphanBlobsParameters, results: StageResults) -> OrphanBlobsResult:
    found = results.one(ORPHAN_BLOB_INVENTORY, _INVENTORY)
    pages = sorted(results.of(ORPHAN_BLOB_LOOK, _LOOK).items())
    return OrphanBlobsResult(
        job_type=JOB.name,
        container_name=parameters.container_name,
        listed=found.listed,
        total=found.total,
        bytes=sum(blob.size for blob in found.blobs),
        blobs=tuple(blob for _, page in pages for blob in page.blobs),
    )


JOB = Job(
    name="detect_orphan_blobs",
    description="List the outputs of a container that no record, item, revision or job speaks of.",
    parameters=OrphanBlobsParameters,
    result=OrphanBlobsResult,
    stages=(
        Stage(_INVENTORY, ORPHAN_BLOB_INVENTORY, _plan_inventory),
        Stage(_LOOK, ORPHAN_BLOB_LOOK, _plan_look, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    repeatable=True,
)
