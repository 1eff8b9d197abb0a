"""`validate_raster_job`: says whether a raster could be published, and makes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Stage, StageResults, TaskSpec
from core.contracts.raster_reports import RASTER_REPORT, ValidateRasterParameters, ValidateRasterResult
from jobs.raster_summaries import validation_summary

NAME = "validate_raster_job"
_STAGE = "validate"


def _plan(params: ValidateRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("source", params.to_validate())


def _finalize(params: ValidateRasterParameters, results: StageResults) -> ValidateRasterResult:
    report = results.one(RASTER_REPORT, _STAGE)
    found = report.inspection
    return ValidateRasterResult(
        job_type=NAME,
        source_blob=params.blob_name,
        source_container=params.container_name,
        valid=found is not None,
        refusal=report.refusal,
        validation=validation_summary(found) if found else None,
        bbox=found.grid.bbox if found else None,
        is_cog=found.is_cog if found else None,
        findings=found.findings if found else (),
    )


JOB = Job(
    name=NAME,
    description="Report whether a raster could be published, and what would be noticed.",
    parameters=ValidateRasterParameters,
    result=ValidateRasterResult,
    stages=(Stage(_STAGE, RASTER_REPORT, _plan),),
    finalize=_finalize,
    repeatable=True,
)
