"""From a raster to a verified COG in storage. A repeated attempt makes the same file under the same name."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rio_cogeo.cogeo import cog_validate

from core.contracts.raster import CogFile, CreateCogInput, Georeference, RasterInspection
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import ContractViolation, InvalidRaster
from services.raster.gdal import reading
from services.raster.georeference import crs_label, grid, parse_crs, same_crs
from services.raster.inspect import has_internal_mask
from services.raster.names import output_folder, stem
from services.raster.profiles import BLOCK, CogProfile, warp_resampling
from services.raster.source import Located
from services.raster.statistics import CellChecksum, windows

CONTAINER = "silver-cogs"
MEDIA_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"

#: A warp keeps the pixels it works on in memory: megabytes.
_WARP_MEMORY_MB = 64

Step = Callable[[], None]


@dataclass(frozen=True)
class Prepared:
    """What the COG driver reads, and whether its pixels are still the source's."""

    dataset: DatasetReader
    untouched: bool


@contextmanager
def prepare(located: Located, request: CreateCogInput, workdir: Path) -> Iterator[Prepared]:
    """The source with its CRS set right, on the target grid. A warped picture is written to disk once.

    GDAL's COG driver reads its input more than once, so reading a warp directly would warp more than once.
    """
    source = request.inspection
    crs = CRS.from_wkt(source.grid.wkt)
    target = parse_crs(request.target_crs, "target_crs") if request.target_crs else crs
    with ExitStack() as stack:
        dataset = stack.enter_context(located.open())
        if source.crs_given:
            dataset = stack.enter_context(_with_crs(dataset, crs, located.name, workdir))
        if source.georeference is Georeference.GCPS or not same_crs(crs, target):
            dataset = stack.enter_context(_warped(dataset, crs, target, source, workdir))
            yield Prepared(dataset, untouched=False)
        else:
            yield Prepared(dataset, untouched=True)


@contextmanager
def _with_crs(dataset: DatasetReader, crs: CRS, name: BlobName, workdir: Path) -> Iterator[DatasetReader]:
    # A description of the same pixels that says another CRS; the source itself is never written to.
    described = workdir / "source.vrt"
    with reading(name, "describe the raster"):
        rasterio.shutil.copy(dataset, described, driver="VRT")
        with rasterio.open(described, "r+") as description:
            description.crs = crs
    with rasterio.open(described) as opened:
        yield opened


@contextmanager
def _warped(
    dataset: DatasetReader, crs: CRS, target: CRS, source: RasterInspection, workdir: Path
) -> Iterator[DatasetReader]:
    warped = workdir / "warped.tif"
    masked = has_internal_mask(dataset)
    with (
        reading(source.source, "reproject the raster"),
        WarpedVRT(
            dataset,
            src_crs=crs,
            crs=target,
            resampling=Resampling[warp_resampling(source.raster_type)],
            add_alpha=_needs_alpha(dataset, masked),
            warp_mem_limit=_WARP_MEMORY_MB,
        ) as view,
    ):
        _stays_in_one_piece(view, source)
        rasterio.shutil.copy(
            view, warped, driver="GTiff", tiled=True, blockxsize=BLOCK, blockysize=BLOCK, compress="ZSTD",
            zstd_level=1, sparse_ok=True, bigtiff="IF_SAFER", num_threads="ALL_CPUS",
        )  # fmt: skip
    with rasterio.open(warped) as opened:
        yield opened


def _stays_in_one_piece(view: WarpedVRT, source: RasterInspection) -> None:
    """A raster across the antimeridian would be stretched round the world, at a fraction of its resolution."""
    crosses = source.grid.bbox[0] > source.grid.bbox[2]
    west, _, east, _ = grid(view, view.crs, str(source.source)).bbox
    if crosses and east - west > 350.0:
        raise InvalidRaster(
            f"{source.source} crosses the antimeridian; in {crs_label(view.crs)} it would span the whole world.",
            hint="Leave target_crs out to keep its own grid.",
        )


def _needs_alpha(dataset: DatasetReader, masked: bool) -> bool:
    """Without nodata or alpha the corners that a warp leaves empty would read as data."""
    has_alpha = any(color.name == "alpha" for color in dataset.colorinterp)
    return not has_alpha and (masked or dataset.nodata is None)


def write(prepared: Prepared, profile: CogProfile, name: BlobName, output: Path) -> None:
    """Write the COG to a local file."""
    with ExitStack() as stack:
        stack.enter_context(reading(name, "convert the raster"))
        dataset = prepared.dataset
        if profile.mask_from_nodata and dataset.nodata is not None:
            dataset = stack.enter_context(WarpedVRT(dataset, add_alpha=True))
        options = dict(profile.options)
        if dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"):
            # Predictors know no 15-bit samples; the type's own width changes no value.
            options["nbits"] = 8 * np.dtype(dataset.dtypes[0]).itemsize
        rasterio.shutil.copy(dataset, output, driver="COG", **options)


def verify(output: Path, source: RasterInspection, *, same_pixels: bool) -> None:
    """Raise ContractViolation unless the file is a COG and, when it must, holds exactly the source's pixels."""
    valid, errors, _ = cog_validate(str(output), quiet=True)
    if not valid:
        raise ContractViolation(f"The COG of {source.source} is not valid: {'; '.join(errors)}")
    if not same_pixels:
        return
    with rasterio.open(output) as written:
        checksums, mask = pixel_checksums(written)
    expected = [band.checksum for band in source.bands]
    if checksums != expected or mask != source.mask_checksum:
        raise ContractViolation(f"The COG of {source.source} does not hold the source's pixels.")


def pixel_checksums(dataset: DatasetReader) -> tuple[list[str], str | None]:
    """The checksums that inspection computes, of all bands and of the internal mask."""
    sums = [CellChecksum(dataset.width, dataset.height) for _ in dataset.indexes]
    masked, mask_sum = has_internal_mask(dataset), CellChecksum(dataset.width, dataset.height)
    for window in windows(dataset):
        row, column = int(window.row_off), int(window.col_off)
        block = dataset.read(window=window)
        for i, band in enumerate(sums):
            band.update(row, column, block[i].astype(np.dtype(dataset.dtypes[i]), copy=False))
        if masked:
            mask_sum.update(row, column, dataset.dataset_mask(window=window))
    return [band.hexdigest() for band in sums], mask_sum.hexdigest() if masked else None


def make_cog(
    prepared: Prepared, profile: CogProfile, request: CreateCogInput, workdir: Path, storage: ObjectStorage, step: Step
) -> CogFile:
    """Write, verify and store one COG; `step` is called between the phases and may raise to stop."""
    started = time.monotonic()
    source = request.inspection
    output = workdir / f"{profile.tier.value}.tif"
    write(prepared, profile, source.source, output)
    step()
    untouched = prepared.untouched and profile.lossless
    verify(output, source, same_pixels=untouched)
    step()
    checksum, size = sha256(output), output.stat().st_size
    blob = BlobName(CONTAINER, cog_path(request, profile, checksum))
    with rasterio.open(output) as written:
        cog = CogFile(
            container_name=blob.container,
            blob_name=blob.path,
            tier=profile.tier,
            compression=profile.compression,
            lossless=untouched,
            size_bytes=size,
            checksum=checksum,
            blocksize=written.block_shapes[0][0],
            overviews=tuple(written.overviews(1)),
            band_colors=tuple(color.name for color in written.colorinterp),
            grid=grid(written, written.crs, str(blob)),
            processing_seconds=round(time.monotonic() - started, 3),
        )
    storage.upload(output, blob, content_type=MEDIA_TYPE)
    output.unlink()
    return cog


def cog_path(request: CreateCogInput, profile: CogProfile, checksum: str) -> str:
    """A name that changes whenever the bytes do."""
    inspection = request.inspection
    name = stem(PurePosixPath(inspection.member or inspection.blob_name).name)
    folder = request.output_folder or output_folder(request.dataset, inspection.blob_name)
    return f"{folder}/{name}-{checksum[:12]}_{profile.tier.value}.tif"


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
