"""What is in this file? One pass over all pixels in bounded memory; refuses what cannot become a published raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rasterio.io import DatasetReader
from rio_cogeo.cogeo import cog_validate

from core.contracts.raster import (
    Finding,
    RasterBand,
    RasterGrid,
    RasterInspection,
    RasterType,
    Severity,
    ValidateRasterInput,
)
from core.contracts.storage import StoredBlob
from core.errors import AmbiguousLayer, InvalidRaster, UnsupportedFormat
from services.raster import classify, quality
from services.raster.georeference import Placement, grid, place
from services.raster.numbers import to_json
from services.raster.pixels import PixelScan, Progress, scan
from services.raster.source import Located
from services.raster.statistics import BandScan


@dataclass(frozen=True)
class Gathered:
    """Everything the report is assembled from."""

    located: Located
    blob: StoredBlob
    request: ValidateRasterInput
    placement: Placement
    grid: RasterGrid
    pixels: PixelScan


def inspect(located: Located, blob: StoredBlob, request: ValidateRasterInput, progress: Progress) -> RasterInspection:
    """All facts about a raster. Raises a DataError that says what is wrong; must run inside `gdal_session`."""
    with located.open() as dataset:
        check_structure(dataset, str(located), request.max_pixels)
        placement = place(dataset, str(located), request.input_crs)
        where = grid(dataset, placement.crs, str(located))
        pixels = scan(dataset, located.name, progress)
        facts = Gathered(located, blob, request, placement, where, pixels)
        return _assemble(dataset, facts)


def check_structure(dataset: DatasetReader, label: str, max_pixels: int) -> None:
    """Refuse by the header alone: no bands, too many pixels, complex values, bands of different kinds."""
    if dataset.count == 0:
        names = ", ".join(name.rsplit(":", 1)[-1] for name in dataset.subdatasets[:20])
        raise AmbiguousLayer(
            f"{label} holds {len(dataset.subdatasets)} rasters: {names}."
            if names
            else f"{label} holds no raster band.",
            hint="Export the one to publish as a GeoTIFF.",
        )
    total = dataset.width * dataset.height
    if total > max_pixels:
        raise InvalidRaster(
            f"{label} has {dataset.width} x {dataset.height} = {total} pixels, more than the {max_pixels} allowed.",
            hint="Split it into tiles and submit them as a collection, or have RASTER_MAX_PIXELS raised.",
        )
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise UnsupportedFormat(
            f"{label} has complex values ({dataset.dtypes[0]}).", hint="Convert it to amplitude or intensity first."
        )


def _assemble(dataset: DatasetReader, found: Gathered) -> RasterInspection:
    label, scans = str(found.located), found.pixels.bands
    bands = tuple(_bands(dataset, found.pixels))
    facts = _facts(dataset, found.located, bands, scans[0])
    detection = classify.detect(facts)
    declared = found.request.raster_type
    findings = (
        *found.placement.findings,
        *quality.pixel_findings(scans, [band.statistics for band in bands]),
        *quality.type_findings(detection, declared is not RasterType.AUTO),
    )
    kind = classify.check_declared(declared, detection, facts)
    if found.request.strict_mode:
        refuse_warnings(findings, label)
    return RasterInspection(
        container_name=found.located.name.container,
        blob_name=found.located.name.path,
        member=found.located.member,
        etag=found.blob.etag,
        size_bytes=found.blob.size,
        driver=dataset.driver,
        georeference=found.placement.georeference,
        crs_given=found.placement.given,
        grid=found.grid,
        bands=bands,
        mask_checksum=found.pixels.mask_checksum,
        palette=facts.palette,
        raster_type=kind,
        detection=detection,
        is_cog=dataset.driver == "GTiff" and bool(cog_validate(found.located.path, quiet=True)[0]),
        acquired=acquisition_time(dataset),
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
            description=dataset.descriptions[i] or None,
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
        descriptions=dataset.descriptions,
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


def acquisition_time(dataset: DatasetReader) -> str | None:
    """When the picture was taken, from the tags GDAL knows for it; without a time zone it is taken for UTC."""
    stated = dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME") or dataset.tags().get("TIFFTAG_DATETIME")
    if not stated:
        return None
    for layout in ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S", "%Y:%m:%d %H:%M:%S"):
        try:
            moment = datetime.strptime(stated.strip(), layout)  # noqa: DTZ007  the zone is set below
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None
