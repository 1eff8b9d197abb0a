"""`process_raster_v2`: one raster, validated, converted to COG and catalogued, in three stages."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Stage, StageResults, TaskSpec
from core.contracts.raster import (
    RASTER_CREATE_COG,
    RASTER_EXTRACT_STAC,
    RASTER_VALIDATE,
    CogFile,
    CreateCogInput,
    ExtractStacInput,
    ProcessRasterParameters,
    RasterCog,
    RasterInspection,
    RasterJobResult,
    RasterValidation,
    ValidateRasterInput,
)

NAME = "process_raster_v2"
_VALIDATE, _COG, _STAC = "validate", "create_cog", "stac"
#: Each stage has one task: this source.
_KEY = "source"


def _plan_validate(params: ProcessRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec(
        _KEY,
        ValidateRasterInput(
            blob_name=params.blob_name,
            container_name=params.container_name,
            input_crs=params.input_crs,
            target_crs=params.target_crs,
            raster_type=params.raster_type,
            strict_mode=params.strict_mode,
        ),
    )


def _plan_cog(params: ProcessRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec(
        _KEY,
        CreateCogInput(
            dataset=params.dataset,
            inspection=results.one(RASTER_VALIDATE, _VALIDATE),
            target_crs=params.target_crs,
            output_tier=params.output_tier,
            jpeg_quality=params.jpeg_quality,
            output_folder=params.output_folder,
        ),
    )


def _plan_stac(params: ProcessRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    made = results.one(RASTER_CREATE_COG, _COG)
    yield TaskSpec(
        _KEY,
        ExtractStacInput(
            dataset=params.dataset,
            inspection=results.one(RASTER_VALIDATE, _VALIDATE),
            cogs=made.cogs,
            findings=made.findings,
        ),
    )


def _finalize(params: ProcessRasterParameters, results: StageResults) -> RasterJobResult:
    inspection = results.one(RASTER_VALIDATE, _VALIDATE)
    made = results.one(RASTER_CREATE_COG, _COG)
    cogs = tuple(_summary(cog) for cog in made.cogs)
    return RasterJobResult(
        job_type=NAME,
        source_blob=params.blob_name,
        source_container=params.container_name,
        validation=_validation(inspection),
        cog=cogs[0],
        cogs=cogs,
        stac=results.one(RASTER_EXTRACT_STAC, _STAC),
        stages_completed=3,
    )


def _validation(inspection: RasterInspection) -> RasterValidation:
    return RasterValidation(
        source_crs=inspection.grid.crs or inspection.grid.wkt,
        raster_type=inspection.raster_type,
        confidence=inspection.detection.confidence,
        evidence=inspection.detection.evidence,
        band_count=len(inspection.bands),
        data_type=inspection.dtype,
        width=inspection.grid.width,
        height=inspection.grid.height,
        warnings=inspection.findings,
    )


def _summary(cog: CogFile) -> RasterCog:
    return RasterCog(
        cog_blob=cog.blob_name,
        cog_container=cog.container_name,
        tier=cog.tier,
        size_mb=round(cog.size_bytes / 1e6, 3),
        compression=cog.compression,
        processing_time_seconds=cog.processing_seconds,
        file_checksum=cog.checksum,
        file_size=cog.size_bytes,
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
