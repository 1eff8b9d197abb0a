"""`stac_catalog_container`: COGs that lie in a container become items of a collection, where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.contracts.catalog_container import (
    RASTER_DESCRIBE_BLOB,
    RASTER_LIST_FILES,
    CatalogBlobInput,
    CatalogBlobsParameters,
    CatalogContainerParameters,
    CatalogContainerResult,
    CatalogedBlob,
    ContainerListing,
)
from core.contracts.jobs import Job, Parallelism, StacReference, Stage, StageResults, TaskSpec
from core.contracts.raster import ExtractStacInput, RasterDataset
from core.contracts.raster_collection import (
    RASTER_CREATE_STAC_COLLECTION,
    CatalogCollectionInput,
    CollectionReference,
    FileOutcome,
    FileStatus,
)
from core.naming import slug
from core.states import FailurePolicy

NAME = "stac_catalog_container"
LIST, DESCRIBE, STAC = "list", "describe", "stac_collection"


def _plan_list(params: CatalogContainerParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("container", params)


def plan_describe(params: CatalogBlobsParameters, results: StageResults) -> Iterable[TaskSpec]:
    """A task for each file that is to be catalogued."""
    for blob in results.one(RASTER_LIST_FILES, LIST).blobs:
        yield TaskSpec(
            blob,
            CatalogBlobInput(container_name=params.container_name, blob_name=blob, raster_type=params.raster_type),
        )


def plan_stac(params: CatalogBlobsParameters, results: StageResults) -> Iterable[TaskSpec]:
    """One task that catalogues what could be described."""
    described = results.of(RASTER_DESCRIBE_BLOB, DESCRIBE)
    if not described:
        return
    names = _items(params, results.one(RASTER_LIST_FILES, LIST))
    shared = params.dataset
    yield TaskSpec(
        "collection",
        CatalogCollectionInput(
            dataset=shared,
            options=params.together,
            members=tuple(_member(shared, names[blob], found) for blob, found in described.items()),
        ),
    )


def _member(shared: RasterDataset, item_id: str, found: CatalogedBlob) -> ExtractStacInput:
    dataset = shared.model_copy(update={"item_id": item_id, "title": None})
    return ExtractStacInput(dataset=dataset, inspection=found.inspection, cogs=found.made.cogs)


def _items(params: CatalogBlobsParameters, listed: ContainerListing) -> Mapping[str, str]:
    """The id of each file's item."""
    prefix = params.item_id or slug(params.collection_id)
    return {blob: f"{prefix}-{name}" for blob, name in listed.names.items()}


def finalize(params: CatalogBlobsParameters, results: StageResults) -> CatalogContainerResult:
    """What became of each file."""
    listed = results.one(RASTER_LIST_FILES, LIST)
    names = _items(params, listed)
    failures = results.failed(DESCRIBE)
    made = next(iter(results.of(RASTER_CREATE_STAC_COLLECTION, STAC).values()), None)
    items = made.items if made else ()
    return CatalogContainerResult(
        job_type=NAME,
        container=params.container_name,
        collection_id=params.collection_id,
        cataloged=len(items),
        failed=len(failures),
        known=listed.known,
        left=listed.left,
        files=tuple(
            FileOutcome(
                blob_name=blob,
                status=FileStatus.FAILED if blob in failures else FileStatus.COMPLETED,
                item_id=None if blob in failures else names[blob],
                failed_stage=DESCRIBE if blob in failures else None,
                error_code=failures[blob].code if blob in failures else None,
                error_message=failures[blob].message if blob in failures else None,
            )
            for blob in listed.blobs
        ),
        mosaicjson=made.mosaicjson if made else None,
        stac=CollectionReference(
            collection_id=made.collection_id,
            item_id=made.items[0].item_id,
            search_id=made.search_id,
            items_created=len(items),
            items_failed=len(failures),
        )
        if made
        else None,
        stac_items=tuple(StacReference(collection_id=i.collection_id, item_id=i.item_id) for i in items[1:]),
        stages_completed=len(JOB.stages),
    )


JOB: Job[CatalogContainerParameters, CatalogContainerResult] = Job(
    name=NAME,
    description="Catalogue the COGs of a container as items of a collection, without moving them.",
    parameters=CatalogContainerParameters,
    result=CatalogContainerResult,
    stages=(
        Stage(LIST, RASTER_LIST_FILES, _plan_list),
        Stage(DESCRIBE, RASTER_DESCRIBE_BLOB, plan_describe, Parallelism.FAN_OUT),
        Stage(STAC, RASTER_CREATE_STAC_COLLECTION, plan_stac, Parallelism.FAN_OUT),
    ),
    finalize=finalize,
    repeatable=True,
    on_failure=FailurePolicy.PARTIAL,
)
