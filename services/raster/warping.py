"""A raster on another grid: warped while it is read where it is read once, else on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from core.contracts.raster import CreateCogInput, Georeference, RasterInspection
from core.errors import InvalidRaster
from services.raster.description import Description
from services.raster.gdal import reading
from services.raster.georeference import crs_label, grid, north_up, same_crs
from services.raster.onepass.eligibility import ROW_BYTES, refusals
from services.raster.pixels import has_internal_mask
from services.raster.profiles import BLOCK, CogProfile, warp_resampling
from services.raster.windowing import inside, window_of

#: A warp keeps the pixels it works on in memory: megabytes.
_MEMORY_MB = 64


@contextmanager
def warped(
    dataset: DatasetReader,
    systems: tuple[CRS, CRS],
    request: CreateCogInput,
    profiles: Sequence[CogProfile],
    workdir: Path,
) -> Iterator[DatasetReader]:
    """The raster taken from the first CRS to the second.

    GDAL's COG driver and a second profile read their input again, and would warp again: they get a file.
    """
    source = request.inspection
    with ExitStack() as views:
        with reading(source.source, "reproject the raster"):
            view = _view(views, dataset, systems, request)
        if len(profiles) == 1 and not any(refusals(view, profiles[0])):
            yield view
            return
        with reading(source.source, "reproject the raster"):
            stored = _store(view, workdir / "warped.tif")
    with rasterio.open(stored) as opened:
        yield opened


def _view(views: ExitStack, dataset: DatasetReader, systems: tuple[CRS, CRS], request: CreateCogInput) -> WarpedVRT:
    source, (crs, target) = request.inspection, systems
    masked = has_internal_mask(dataset)
    options = {
        "src_crs": crs,
        "crs": target,
        "resampling": Resampling[warp_resampling(source.raster_type)],
        "add_alpha": _needs_alpha(dataset, masked),
        "warp_mem_limit": _MEMORY_MB,
    }
    if source.georeference is Georeference.SOUTH_UP and same_crs(crs, target):
        # Nothing but the order of rows changes, on exactly the source's grid.
        size = {"width": dataset.width, "height": dataset.height}
        turned = {"transform": north_up(dataset), "resampling": Resampling.nearest, "add_alpha": masked}
        options = {**options, **turned, **size}
    view = views.enter_context(WarpedVRT(dataset, **options))
    _stays_in_one_piece(view, source)
    if request.window is None:
        return view
    inside(request.window, view, source.source)
    part = window_transform(window_of(request.window), view.transform)
    size = {"width": request.window.width, "height": request.window.height}
    return views.enter_context(WarpedVRT(dataset, **{**options, "transform": part, **size}))


def _store(view: WarpedVRT, path: Path) -> Path:
    """The pixels that the one-pass writer would read: GDAL warps a window to slightly others than its parts."""
    described = Description(view, path.with_suffix(".vrt"))
    described.drop_pixels()
    with rasterio.open(described.save(path.with_suffix(".vrt"))) as nothing:
        rasterio.shutil.copy(
            nothing, path, driver="GTiff", tiled=True, blockxsize=BLOCK, blockysize=BLOCK, compress="ZSTD",
            zstd_level=1, sparse_ok=True, bigtiff="IF_SAFER",
        )  # fmt: skip
    with rasterio.open(path, "r+", num_threads="ALL_CPUS") as out:
        for window in _pieces(view):
            out.write(view.read(window=window), window=window)
    return path


def _pieces(view: WarpedVRT) -> Iterator[Window]:
    """Whole rows of tiles, but no more pixels at once than the one-pass writer takes."""
    pixel = sum(np.dtype(dtype).itemsize for dtype in view.dtypes)
    columns = max(1, ROW_BYTES // (BLOCK * BLOCK * pixel)) * BLOCK
    for row in range(0, view.height, BLOCK):
        for column in range(0, view.width, columns):
            yield Window(column, row, min(columns, view.width - column), min(BLOCK, view.height - row))


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
