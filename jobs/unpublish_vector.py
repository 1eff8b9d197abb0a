"""unpublish_vector: a feature table leaves the catalogue and the database, with all that speaks of it."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.vector_catalog import (
    UNPUBLISH_DROP_TABLE,
    UNPUBLISH_INVENTORY_VECTOR,
    UnpublishVectorParameters,
    UnpublishVectorResult,
)


def _inventory(parameters: UnpublishVectorParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("inventory", parameters)


def _drop(parameters: UnpublishVectorParameters, _: StageResults) -> Iterator[TaskSpec]:
    if not parameters.dry_run:
        yield TaskSpec("drop", parameters)


def _finalize(parameters: UnpublishVectorParameters, results: StageResults) -> UnpublishVectorResult:
    return UnpublishVectorResult(
        job_type=JOB.name,
        dry_run=parameters.dry_run,
        removed=bool(results.of(UNPUBLISH_DROP_TABLE, "drop")),
        table=results.one(UNPUBLISH_INVENTORY_VECTOR, "inventory"),
    )


JOB = Job(
    name="unpublish_vector",
    description="Remove a feature table with its catalogue entries, styles, tile view and STAC item.",
    parameters=UnpublishVectorParameters,
    result=UnpublishVectorResult,
    stages=(
        Stage("inventory", UNPUBLISH_INVENTORY_VECTOR, _inventory),
        Stage("drop", UNPUBLISH_DROP_TABLE, _drop, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    repeatable=True,
)
