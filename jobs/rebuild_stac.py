"""rebuild_stac: items are made again from the records that describe their COGs or tables."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.repairs import (
    STAC_REBUILD_ITEM,
    STAC_REBUILD_VALIDATE,
    Prospect,
    RebuildItem,
    RebuildStacParameters,
    RebuildStacResult,
)
from core.states import FailurePolicy
from jobs.mended import outcome

_VALIDATE, _REBUILD = "validate", "rebuild"


def _validate(parameters: RebuildStacParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("items", parameters)


def _rebuild(parameters: RebuildStacParameters, results: StageResults) -> Iterator[TaskSpec]:
    if not parameters.dry_run:
        for candidate in results.one(STAC_REBUILD_VALIDATE, _VALIDATE).candidates:
            if candidate.prospect is Prospect.REBUILD:
                yield TaskSpec(candidate.item, RebuildItem(parameters=parameters, item=candidate.item))


def _finalize(parameters: RebuildStacParameters, results: StageResults) -> RebuildStacResult:
    candidates = results.one(STAC_REBUILD_VALIDATE, _VALIDATE).candidates
    mended = outcome(results, STAC_REBUILD_ITEM, _REBUILD, {one.item: one.item for one in candidates})
    return RebuildStacResult(
        job_type=JOB.name,
        dry_run=parameters.dry_run,
        candidates=candidates,
        rebuilt=mended.done,
        failed=mended.failed,
    )


JOB = Job(
    name="rebuild_stac",
    description="Make STAC items again from app.cog_metadata or geo.table_catalog.",
    parameters=RebuildStacParameters,
    result=RebuildStacResult,
    stages=(
        Stage(_VALIDATE, STAC_REBUILD_VALIDATE, _validate),
        Stage(_REBUILD, STAC_REBUILD_ITEM, _rebuild, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    on_failure=FailurePolicy.PARTIAL,
    repeatable=True,
)
