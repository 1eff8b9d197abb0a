"""`process_raster_collection_v2`: many files become one collection; a file that cannot is told, the others go on."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Parallelism, StacReference, Stage, StageResults, TaskSpec
from core.contracts.raster import RASTER_CREATE_COG, RASTER_VALIDATE, RasterStacReference
from core.contracts.raster_collection import (
    RASTER_CREATE_STAC_COLLECTION,
    CatalogCollectionInput,
    CogCounts,
    CollectionReference,
    FileOutcome,
    FileStatus,
    RasterCollectionParameters,
    RasterCollectionResult,
)
from core.states import FailurePolicy
from jobs.one_kind import one_kind

NAME = "process_raster_collection_v2"
_VALIDATE, _COG, _STAC = "validate", "create_cog", "stac_collection"


def _plan_validate(params: RasterCollectionParameters, _: StageResults) -> Iterable[TaskSpec]:
    for blob, member in params.members().items():
        yield TaskSpec(blob, member.to_validate())


def _plan_cogs(params: RasterCollectionParameters, results: StageResults) -> Iterable[TaskSpec]:
    inspected = results.of(RASTER_VALIDATE, _VALIDATE)
    one_kind(inspected, params.target_crs)
    for blob, member in params.members().items():
        if blob in inspected:
            yield TaskSpec(blob, member.to_convert(inspected[blob]))


def _plan_stac(params: RasterCollectionParameters, results: StageResults) -> Iterable[TaskSpec]:
    inspected, made = results.of(RASTER_VALIDATE, _VALIDATE), results.of(RASTER_CREATE_COG, _COG)
    members = params.members()
    yield TaskSpec(
        "collection",
        CatalogCollectionInput(
            dataset=members[next(iter(made))].dataset.model_copy(update={"title": params.title}),
            options=params.together,
            members=tuple(
                member.to_describe(inspected[blob], made[blob]) for blob, member in members.items() if blob in made
            ),
        ),
    )


def _finalize(params: RasterCollectionParameters, results: StageResults) -> RasterCollectionResult:
    cataloged = results.one(RASTER_CREATE_STAC_COLLECTION, _STAC)
    items = {item.item_id: item for item in cataloged.items}
    files = tuple(_outcome(blob, items.get(member.item_id or ""), results) for blob, member in params.members().items())
    done = [file for file in files if file.status is FileStatus.COMPLETED]
    return RasterCollectionResult(
        job_type=NAME,
        collection_id=params.collection_id,
        source_container=params.container_name,
        cogs=CogCounts(
            total_count=len(files),
            successful=len(done),
            failed=len(files) - len(done),
            total_size_mb=round(sum(file.size_mb or 0.0 for file in done), 3),
        ),
        files=files,
        mosaicjson=cataloged.mosaicjson,
        stac=CollectionReference(
            collection_id=cataloged.collection_id,
            item_id=cataloged.items[0].item_id,
            search_id=cataloged.search_id,
            items_created=len(items),
            items_failed=len(files) - len(items),
        ),
        stac_items=tuple(
            StacReference(collection_id=item.collection_id, item_id=item.item_id) for item in cataloged.items[1:]
        ),
        stages_completed=len(JOB.stages),
    )


def _outcome(blob: str, item: RasterStacReference | None, results: StageResults) -> FileOutcome:
    inspected = results.of(RASTER_VALIDATE, _VALIDATE).get(blob)
    findings = inspected.findings if inspected else ()
    for stage in (_VALIDATE, _COG):
        failure = results.failed(stage).get(blob)
        if failure is not None:
            return FileOutcome(
                blob_name=blob,
                status=FileStatus.FAILED,
                failed_stage=stage,
                error_code=failure.code,
                error_message=failure.message,
                findings=findings,
            )
    made = results.of(RASTER_CREATE_COG, _COG)[blob]
    return FileOutcome(
        blob_name=blob,
        status=FileStatus.COMPLETED,
        item_id=item.item_id if item else None,
        cog_blob=made.cogs[0].blob_name,
        cog_container=made.cogs[0].container_name,
        size_mb=round(sum(cog.size_bytes for cog in made.cogs) / 1e6, 3),
        findings=(*findings, *made.findings),
    )


JOB = Job(
    name=NAME,
    description="Convert many rasters and catalogue them as one STAC collection with a mosaic.",
    parameters=RasterCollectionParameters,
    result=RasterCollectionResult,
    stages=(
        Stage(_VALIDATE, RASTER_VALIDATE, _plan_validate, Parallelism.FAN_OUT),
        Stage(_COG, RASTER_CREATE_COG, _plan_cogs, Parallelism.FAN_OUT),
        Stage(_STAC, RASTER_CREATE_STAC_COLLECTION, _plan_stac, Parallelism.FAN_IN),
    ),
    finalize=_finalize,
    on_failure=FailurePolicy.PARTIAL,
)
