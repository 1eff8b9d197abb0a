"""What is in this file? Refuses what cannot become a published raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rasterio.io import DatasetReader

from core.contracts.findings import Severity
from core.contracts.raster import (
    MAX_PIXELS,
    Coverage,
    Finding,
    RasterBand,
    RasterGrid,
    RasterInspection,
    RasterType,
    ValidateRasterInput,
)
from core.errors import InvalidRaster
from services.raster import classify, quality, slices, structure
from services.raster.georeference import Placement, grid, place
from services.raster.glance import glance
from services.raster.header import acquisition_time, check_structure, cloud_cover, layout
from services.raster.numbers import to_json
from services.raster.pixels import PixelScan, Progress, scan
from services.raster.source import Located
from services.raster.statistics import BandScan


@dataclass(frozen=True)
class Gathered:
    """Everything the report is assembled from."""

    located: Located
    request: ValidateRasterInput
    placement: Placement
    grid: RasterGrid
    pixels: PixelScan
    coverage: Coverage


def inspect(located: Located, request: ValidateRasterInput, progress: Progress) -> RasterInspection:
    """All facts about a raster, every pixel read once.

    Raises a DataError that says what is wrong; must run inside `gdal_session`.
    """
    with located.open() as dataset:
        placement, where = _placed(dataset, located, request)
        pixels = scan(dataset, located.name, progress)
        return _assemble(dataset, Gathered(located, request, placement, where, pixels, Coverage.PIXELS))


def inspect_header(located: Located, request: ValidateRasterInput) -> RasterInspection:
    """What the header and one small overview tell, for a file whose pixels nobody needs: a COG that is there already.

    Statistics are estimates and there are no checksums. Raises as `inspect` does, except for damage further in.
    """
    with located.open() as dataset:
        placement, where = _placed(dataset, located, request)
        pixels = glance(dataset, located)
        return _assemble(dataset, Gathered(located, request, placement, where, pixels, Coverage.OVERVIEW))


def _placed(dataset: DatasetReader, located: Located, request: ValidateRasterInput) -> tuple[Placement, RasterGrid]:
    check_structure(dataset, str(located), request.max_pixels or MAX_PIXELS)
    placement = place(dataset, str(located), request.input_crs)
    return placement, grid(dataset, placement.crs, str(located))


def _assemble(dataset: DatasetReader, found: Gathered) -> RasterInspection:
    located, scans = found.located, found.pixels.bands
    bands = tuple(_bands(dataset, found.pixels))
    facts = _facts(dataset, located, bands, scans[0])
    detection = classify.detect(facts)
    declared = found.request.raster_type
    findings = (
        *found.placement.findings,
        *quality.pixel_findings(scans, [band.statistics for band in bands]),
        *quality.type_findings(detection, declared is not RasterType.AUTO),
    )
    kind = classify.check_declared(declared, detection, facts)
    if found.request.strict_mode:
        refuse_warnings(findings, str(located))
    moments = slices.span(dataset)
    return RasterInspection(
        container_name=located.name.container,
        blob_name=located.name.path,
        member=located.member,
        variable=found.request.variable,
        etag=located.blob.etag,
        size_bytes=located.blob.size,
        driver=dataset.driver,
        georeference=found.placement.georeference,
        crs_given=found.placement.given,
        grid=found.grid,
        bands=bands,
        mask_checksum=found.pixels.mask_checksum,
        palette=facts.palette,
        coverage=found.coverage,
        layout=layout(dataset),
        raster_type=kind,
        detection=detection,
        is_cog=dataset.driver == "GTiff" and not structure.errors(located.path),
        acquired=acquisition_time(dataset) or (moments[0] if moments else None),
        acquired_until=moments[1] if moments and moments[1] != moments[0] else None,
        cloud_cover=cloud_cover(dataset),
        point=(dataset.tags().get("AREA_OR_POINT") or "").lower() == "point",
        findings=findings,
    )


def _bands(dataset: DatasetReader, pixels: PixelScan) -> Iterator[RasterBand]:
    for i in range(dataset.count):
        yield RasterBand(
            index=i + 1,
            dtype=dataset.dtypes[i],
            color=dataset.colorinterp[i].name,
            nodata=to_json(dataset.nodatavals[i]),
            scale=dataset.scales[i],
            offset=dataset.offsets[i],
            unit=dataset.units[i] or None,
            description=slices.description(dataset, i + 1),
            statistics=pixels.bands[i].statistics(),
            checksum=pixels.checksums[i],
        )


def _facts(
    dataset: DatasetReader, located: Located, bands: Sequence[RasterBand], first: BandScan
) -> classify.PixelFacts:
    stats = bands[0].statistics
    gradient = None
    if stats is not None and stats.stddev > 0 and first.gradient_pairs:
        gradient = first.gradient / first.gradient_pairs / stats.stddev
    return classify.PixelFacts(
        label=str(located),
        driver=dataset.driver,
        dtypes=dataset.dtypes,
        colors=[band.color for band in bands],
        descriptions=[band.description for band in bands],
        units=dataset.units,
        palette=any(band.color == "palette" for band in bands),
        values=first.values,
        integral=first.integral,
        minimum=None if stats is None else stats.minimum,
        maximum=None if stats is None else stats.maximum,
        gradient=gradient,
    )


def refuse_warnings(findings: Sequence[Finding], label: str) -> None:
    """Strict mode: raise InvalidRaster for the warnings among the findings."""
    warnings = [finding for finding in findings if finding.severity is Severity.WARNING]
    if warnings:
        raise InvalidRaster(
            f"{label} is refused in strict mode: {' '.join(w.message for w in warnings)}",
            hint=" ".join(w.fix for w in warnings if w.fix) or None,
        )
