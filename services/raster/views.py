"""What is converted: the source with its CRS set right, on the grid asked for, whole or a window of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from core.contracts.raster import BandStatistics, CreateCogInput, Georeference, PixelWindow, RasterInspection
from core.contracts.storage import BlobName
from core.errors import InvalidRaster
from services.raster.description import Description
from services.raster.gdal import reading
from services.raster.georeference import crs_label, grid, north_up, parse_crs, same_crs
from services.raster.pixels import PixelScan, Progress, has_internal_mask, scan
from services.raster.profiles import BLOCK, warp_resampling
from services.raster.source import Located

#: A warp keeps the pixels it works on in memory: megabytes.
_WARP_MEMORY_MB = 64


@dataclass(frozen=True)
class PixelFacts:
    """What is known of the pixels to convert, of each band."""

    statistics: tuple[BandStatistics | None, ...]
    checksums: tuple[str, ...]
    mask_checksum: str | None


@dataclass
class Prepared:
    """What the writers read, and whether its pixels are still the source's.

    `facts` of a window or of a new grid are None until somebody has read it all.
    """

    dataset: DatasetReader
    name: BlobName
    untouched: bool
    facts: PixelFacts | None

    def remember(self, found: PixelScan) -> PixelFacts:
        """Keep what a reading of all pixels found."""
        statistics = tuple(band.statistics() for band in found.bands)
        self.facts = PixelFacts(statistics, tuple(found.checksums), found.mask_checksum)
        return self.facts

    def known(self, progress: Progress) -> PixelFacts:
        """The facts, read now if need be."""
        return self.facts or self.remember(scan(self.dataset, self.name, progress))


def _known(source: RasterInspection) -> PixelFacts | None:
    """The inspection's own; None when it did not read every pixel."""
    sums = tuple(band.checksum for band in source.bands)
    if not all(sums):
        return None
    return PixelFacts(tuple(band.statistics for band in source.bands), sums, source.mask_checksum)


@contextmanager
def prepare(located: Located, request: CreateCogInput, workdir: Path) -> Iterator[Prepared]:
    """The source as it is to be converted. A warped picture is written to disk once.

    GDAL's COG driver reads its input more than once, so reading a warp directly would warp more than once.
    """
    source = request.inspection
    crs = CRS.from_wkt(source.grid.wkt)
    target = parse_crs(request.target_crs, "target_crs") if request.target_crs else crs
    warped = source.georeference in (Georeference.GCPS, Georeference.SOUTH_UP) or not same_crs(crs, target)
    with ExitStack() as stack:
        dataset = stack.enter_context(located.open())
        if source.crs_given:
            dataset = stack.enter_context(_with_crs(dataset, crs, located.name, workdir))
        if warped:
            dataset = stack.enter_context(_warped(dataset, crs, target, request, workdir))
        elif request.window is not None:
            dataset = stack.enter_context(_windowed(dataset, request.window, located.name, workdir))
        whole = not warped and request.window is None
        yield Prepared(dataset, located.name, not warped, _known(source) if whole else None)


def target_shape(located: Located, request: CreateCogInput) -> tuple[int, int]:
    """Width and height of the whole output, which `request.window` is a part of."""
    source = request.inspection
    crs = CRS.from_wkt(source.grid.wkt)
    target = parse_crs(request.target_crs, "target_crs") if request.target_crs else crs
    with located.open() as dataset:
        if source.georeference is not Georeference.GCPS and same_crs(crs, target):
            return dataset.width, dataset.height
        with WarpedVRT(dataset, src_crs=crs, crs=target) as view:
            return view.width, view.height


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
def _windowed(dataset: DatasetReader, window: PixelWindow, name: BlobName, workdir: Path) -> Iterator[DatasetReader]:
    """The part of the raster as a raster of its own, read straight from the source."""
    _inside(window, dataset, name)
    described = workdir / f"window-{window.row}-{window.column}.vrt"
    with reading(name, "describe the window"):
        description = Description(dataset, described)
        description.as_one_source(dataset)
        description.cut(window, window_transform(_window(window), dataset.transform))
        description.save(described)
    with rasterio.open(described) as opened:
        yield opened


def _window(window: PixelWindow) -> Window:
    return Window(window.column, window.row, window.width, window.height)


def _inside(window: PixelWindow, dataset: DatasetReader, name: BlobName) -> None:
    if window.column + window.width > dataset.width or window.row + window.height > dataset.height:
        raise InvalidRaster(
            f"The window at row {window.row}, column {window.column} of {window.width} x {window.height} pixels "
            f"leaves {name}, which has {dataset.width} x {dataset.height}.",
            hint="Make the windows from the size that target_shape tells.",
        )


@contextmanager
def _warped(
    dataset: DatasetReader, crs: CRS, target: CRS, request: CreateCogInput, workdir: Path
) -> Iterator[DatasetReader]:
    source = request.inspection
    warped = workdir / "warped.tif"
    masked = has_internal_mask(dataset)
    options = {
        "src_crs": crs,
        "crs": target,
        "resampling": Resampling[warp_resampling(source.raster_type)],
        "add_alpha": _needs_alpha(dataset, masked),
        "warp_mem_limit": _WARP_MEMORY_MB,
    }
    if source.georeference is Georeference.SOUTH_UP and same_crs(crs, target):
        # Nothing but the order of rows changes, on exactly the source's grid.
        size = {"width": dataset.width, "height": dataset.height}
        turned = {"transform": north_up(dataset), "resampling": Resampling.nearest, "add_alpha": masked}
        options = {**options, **turned, **size}
    with ExitStack() as stack:
        stack.enter_context(reading(source.source, "reproject the raster"))
        view = stack.enter_context(WarpedVRT(dataset, **options))
        _stays_in_one_piece(view, source)
        if request.window is not None:
            _inside(request.window, view, source.source)
            part = window_transform(_window(request.window), view.transform)
            size = {"width": request.window.width, "height": request.window.height}
            view = stack.enter_context(WarpedVRT(dataset, **{**options, "transform": part, **size}))
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
