"""`process_large_raster_docker`: what `process_large_raster_v2` does, in one task that resumes after the last tile."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Stage, StageResults, TaskSpec
from core.contracts.raster_tiles import RASTER_PROCESS_LARGE, LargeDockerResult, LargeRasterParameters
from jobs.large_raster import large_result

NAME = "process_large_raster_docker"
_STAGE = "process"


def _plan(params: LargeRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("source", params)


def _finalize(params: LargeRasterParameters, results: StageResults) -> LargeDockerResult:
    done = results.one(RASTER_PROCESS_LARGE, _STAGE)
    result = large_result(NAME, len(JOB.stages), params, done.scheme, done.made, done.cataloged)
    return LargeDockerResult(
        **dict(result), processing_mode=done.processing.mode, processing=done.processing, resources=done.resources
    )


JOB = Job(
    name=NAME,
    description="Cut a large raster into tiles in one task that resumes where it was interrupted.",
    parameters=LargeRasterParameters,
    result=LargeDockerResult,
    stages=(Stage(_STAGE, RASTER_PROCESS_LARGE, _plan),),
    finalize=_finalize,
)
