"""`process_raster_docker`: what `process_raster_v2` does, in one checkpointed task of the worker."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Stage, StageResults, TaskSpec
from core.contracts.raster import ProcessRasterParameters
from core.contracts.raster_docker import RASTER_PROCESS_COMPLETE, DockerRasterResult
from jobs.raster_summaries import cog_summaries, validation_summary

NAME = "process_raster_docker"
_STAGE, _KEY = "process", "source"


def _plan(params: ProcessRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec(_KEY, params)


def _finalize(params: ProcessRasterParameters, results: StageResults) -> DockerRasterResult:
    done = results.one(RASTER_PROCESS_COMPLETE, _STAGE)
    cogs = cog_summaries(done.cogs)
    return DockerRasterResult(
        job_type=NAME,
        source_blob=params.blob_name,
        source_container=params.container_name,
        validation=validation_summary(done.inspection),
        cog=cogs[0],
        cogs=cogs,
        stac=done.stac,
        stages_completed=len(JOB.stages),
        processing_mode=done.processing.mode,
        processing=done.processing,
        resources=done.resources,
    )


JOB = Job(
    name=NAME,
    description="Validate, convert and catalogue a raster in one task that resumes where it was interrupted.",
    parameters=ProcessRasterParameters,
    result=DockerRasterResult,
    stages=(Stage(_STAGE, RASTER_PROCESS_COMPLETE, _plan),),
    finalize=_finalize,
)
