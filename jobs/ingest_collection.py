"""`ingest_collection`: ready-made COGs with their STAC documents are copied and registered."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.ingest import (
    INGEST_COPY,
    INGEST_INVENTORY,
    INGEST_REGISTER,
    IngestBatchInput,
    IngestCollectionParameters,
    IngestCollectionResult,
    IngestRegisterInput,
    IngestStatus,
)
from core.contracts.jobs import Job, Parallelism, StacReference, Stage, StageResults, TaskSpec
from core.contracts.raster import RasterDataset
from core.contracts.raster_collection import CollectionReference
from core.errors import InvalidRaster

NAME = "ingest_collection"
_INVENTORY, _COPY, _REGISTER = "inventory", "copy", "register"


def _plan_inventory(params: IngestCollectionParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("collection", params)


def _plan_copy(params: IngestCollectionParameters, results: StageResults) -> Iterable[TaskSpec]:
    found = results.one(INGEST_INVENTORY, _INVENTORY)
    for number, batch in enumerate(found.batches):
        yield TaskSpec(
            f"batch-{number}",
            IngestBatchInput(
                dataset=_dataset(params, found.collection_id),
                source_container=params.source_container,
                target_container=params.target_container,
                items=batch,
            ),
        )


def _plan_register(params: IngestCollectionParameters, results: StageResults) -> Iterable[TaskSpec]:
    found = results.one(INGEST_INVENTORY, _INVENTORY)
    batches = results.of(INGEST_COPY, _COPY)
    copied = tuple(item for key in sorted(batches) for item in batches[key].copied)
    if copied:
        yield TaskSpec(
            "collection",
            IngestRegisterInput(
                dataset=_dataset(params, found.collection_id),
                collection=found.collection,
                create_mosaicjson=params.create_mosaicjson,
                copied=copied,
            ),
        )
    elif not any(outcome.status is IngestStatus.SKIPPED for outcome in found.aside):
        outcomes = [*found.aside, *(outcome for batch in batches.values() for outcome in batch.outcomes)]
        raise InvalidRaster(
            f"None of the {len(outcomes)} items of {found.collection_id!r} can be registered; the first, "
            f"{outcomes[0].item_id!r}: {outcomes[0].error_message}"
        )


def _dataset(params: IngestCollectionParameters, collection_id: str) -> RasterDataset:
    shared = {name: getattr(params, name) for name in RasterDataset.model_fields}
    return RasterDataset.model_validate({**shared, "collection_id": collection_id})


def _finalize(params: IngestCollectionParameters, results: StageResults) -> IngestCollectionResult:
    found = results.one(INGEST_INVENTORY, _INVENTORY)
    made = next(iter(results.of(INGEST_REGISTER, _REGISTER).values()), None)
    batches = results.of(INGEST_COPY, _COPY)
    outcomes = sorted(
        [*found.aside, *(outcome for batch in batches.values() for outcome in batch.outcomes)],
        key=lambda outcome: outcome.item_id,
    )
    count = {status: sum(outcome.status is status for outcome in outcomes) for status in IngestStatus}
    items = made.items if made else ()
    return IngestCollectionResult(
        job_type=NAME,
        source_container=params.source_container,
        target_container=params.target_container,
        collection_id=found.collection_id,
        items_total=len(outcomes),
        items_completed=count[IngestStatus.COMPLETED],
        items_skipped=count[IngestStatus.SKIPPED],
        items_failed=count[IngestStatus.FAILED],
        items=tuple(outcomes),
        mosaicjson=made.mosaicjson if made else None,
        stac=CollectionReference(
            collection_id=made.collection_id,
            item_id=items[0].item_id,
            search_id=made.search_id,
            items_created=len(items),
            items_failed=count[IngestStatus.FAILED],
        )
        if made
        else None,
        stac_items=tuple(StacReference(collection_id=i.collection_id, item_id=i.item_id) for i in items[1:]),
        stages_completed=len(JOB.stages),
    )


JOB = Job(
    name=NAME,
    description="Copy ready-made COGs and register them with what their STAC documents say.",
    parameters=IngestCollectionParameters,
    result=IngestCollectionResult,
    stages=(
        Stage(_INVENTORY, INGEST_INVENTORY, _plan_inventory),
        Stage(_COPY, INGEST_COPY, _plan_copy, Parallelism.FAN_OUT),
        Stage(_REGISTER, INGEST_REGISTER, _plan_register, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
)
