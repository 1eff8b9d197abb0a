"""What the results of raster jobs say of a source and of its COGs."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.raster import CogFile, RasterCog, RasterInspection, RasterValidation


def validation_summary(inspection: RasterInspection) -> RasterValidation:
    """The source, as a person wants to read it."""
    return RasterValidation(
        source_crs=inspection.grid.crs or inspection.grid.wkt,
        raster_type=inspection.raster_type,
        confidence=inspection.detection.confidence,
        evidence=inspection.detection.evidence,
        band_count=len(inspection.bands),
        data_type=inspection.dtype,
        width=inspection.grid.width,
        height=inspection.grid.height,
        is_cog=inspection.is_cog,
        warnings=inspection.findings,
    )


def cog_summaries(cogs: Iterable[CogFile]) -> tuple[RasterCog, ...]:
    """The COGs, in the order they were made in."""
    return tuple(
        RasterCog(
            cog_blob=cog.blob_name,
            cog_container=cog.container_name,
            tier=cog.tier,
            size_mb=round(cog.size_bytes / 1e6, 3),
            compression=cog.compression,
            processing_time_seconds=cog.processing_seconds,
            file_checksum=cog.checksum,
            file_size=cog.size_bytes,
        )
        for cog in cogs
    )
