"""`process_raster_v2`: one raster, validated, converted to COG and catalogued, in three stages."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Stage, StageResults, TaskSpec
from core.contracts.raster import (
    RASTER_CREATE_COG,
    RASTER_EXTRACT_STAC,
    RASTER_VALIDATE,
    ProcessRasterParameters,
    RasterJobResult,
)
from jobs.raster_summaries import cog_summaries, validation_summary

NAME = "process_raster_v2"
_VALIDATE, _COG, _STAC = "validate", "create_cog", "stac"
#: Each stage has one task: this source.
_KEY = "source"


def _plan_validate(params: ProcessRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec(_KEY, params.to_validate())


def _plan_cog(params: ProcessRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec(_KEY, params.to_convert(results.one(RASTER_VALIDATE, _VALIDATE)))


def _plan_stac(params: ProcessRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    inspection, made = results.one(RASTER_VALIDATE, _VALIDATE), results.one(RASTER_CREATE_COG, _COG)
    yield TaskSpec(_KEY, params.to_describe(inspection, made))


def _finalize(params: ProcessRasterParameters, results: StageResults) -> RasterJobResult:
    cogs = cog_summaries(results.one(RASTER_CREATE_COG, _COG).cogs)
    return RasterJobResult(
        job_type=NAME,
        source_blob=params.blob_name,
        source_container=params.container_name,
        validation=validation_summary(results.one(RASTER_VALIDATE, _VALIDATE)),
        cog=cogs[0],
        cogs=cogs,
        stac=results.one(RASTER_EXTRACT_STAC, _STAC),
        stages_completed=len(JOB.stages),
    )


JOB = Job(
    name=NAME,
    description="Validate a raster, convert it to a Cloud-Optimized GeoTIFF and catalogue it in STAC.",
    parameters=ProcessRasterParameters,
    result=RasterJobResult,
    stages=(
        Stage(_VALIDATE, RASTER_VALIDATE, _plan_validate),
        Stage(_COG, RASTER_CREATE_COG, _plan_cog),
        Stage(_STAC, RASTER_EXTRACT_STAC, _plan_stac),
    ),
    finalize=_finalize,
)
