"""register_silver_blobs: outputs that nothing describes any more become items of a collection, where they lie."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.catalog_container import (
    RASTER_DESCRIBE_BLOB,
    SILVER_BLOB_VALIDATE,
    CatalogContainerResult,
    SilverBlobsParameters,
)
from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.raster_collection import RASTER_CREATE_STAC_COLLECTION
from core.states import FailurePolicy
from jobs import stac_catalog_container as container


def _plan_named(params: SilverBlobsParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("blobs", params)


def _plan_describe(params: SilverBlobsParameters, results: StageResults) -> Iterable[TaskSpec]:
    return container.plan_describe(params, results)


def _plan_stac(params: SilverBlobsParameters, results: StageResults) -> Iterable[TaskSpec]:
    return () if params.dry_run else container.plan_stac(params, results)


def _finalize(params: SilverBlobsParameters, results: StageResults) -> CatalogContainerResult:
    return container.finalize(params, results).model_copy(update={"job_type": JOB.name})


JOB = Job(
    name="register_silver_blobs",
    description="Catalogue COGs of the silver zone that nothing describes.",
    parameters=SilverBlobsParameters,
    result=CatalogContainerResult,
    stages=(
        Stage(container.LIST, SILVER_BLOB_VALIDATE, _plan_named),
        Stage(container.DESCRIBE, RASTER_DESCRIBE_BLOB, _plan_describe, Parallelism.FAN_OUT),
        Stage(container.STAC, RASTER_CREATE_STAC_COLLECTION, _plan_stac, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    on_failure=FailurePolicy.PARTIAL,
    repeatable=True,
)
