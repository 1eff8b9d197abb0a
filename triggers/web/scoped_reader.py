"""Where in a tile does a file lie? Only there is it read."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import cast

import attr
import numpy as np
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import from_bounds
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from rasterio.windows import bounds as window_bounds
from rio_tiler.constants import WGS84_CRS
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from rio_tiler.types import BBox, Indexes
from rio_tiler.utils import get_vrt_transform, output_size

_MARGIN = 2  #: pixels of the image: warped edges are curves, their bounds are measured at some points only


@attr.s
class ScopedReader(Reader):
    """Reads a file that is smaller than the asked image by warping only its own place in it.

    GDAL warps the whole image at the file's resolution instead: a minute for a small UTM scene in the world's tile.
    """

    def part(
        self,
        bbox: BBox,
        dst_crs: CRS | None = None,
        bounds_crs: CRS = WGS84_CRS,
        indexes: Indexes | None = None,
        expression: str | None = None,
        max_size: int | None = None,
        height: int | None = None,
        width: int | None = None,
        buffer: float | None = None,
        **options: object,
    ) -> ImageData:
        """Read the box, in `dst_crs` or else in the box's own CRS."""
        crs = dst_crs or bounds_crs
        inherited = cast("Callable[..., ImageData]", super().part)
        read = partial(inherited, dst_crs=crs, indexes=indexes, expression=expression, **options)
        extent = self._extent(crs)
        if extent is None or buffer:
            return read(bbox, bounds_crs=bounds_crs, max_size=max_size, height=height, width=width, buffer=buffer)
        box = bbox if bounds_crs == crs else transform_bounds(bounds_crs, crs, *bbox, densify_pts=21)
        _, columns, rows = get_vrt_transform(self.dataset, box, height, width, dst_crs=crs)
        height, width = output_size(
            dataset_height=rows, dataset_width=columns, output_height=height, output_width=width, max_size=max_size
        )
        window = _window(box, extent, width, height)
        place = window_bounds(window, from_bounds(*box, width, height))
        found = read(place, bounds_crs=crs, height=window.height, width=window.width)
        return _placed(found, window, box, width, height)

    def _extent(self, crs: CRS) -> BBox | None:
        """The file's bounds in that CRS; None when nothing is warped or the file has no bounds there."""
        dataset = self.dataset
        if dataset is None or crs == dataset.crs:
            return None
        try:
            west, south, east, north = transform_bounds(dataset.crs, crs, *dataset.bounds, densify_pts=21)
        except RasterioError:
            return None
        # Infinite beyond the CRS's reach, and turned around across the antimeridian.
        bounded = 0 < east - west < math.inf and 0 < north - south < math.inf
        return (west, south, east, north) if bounded else None


def _window(box: BBox, extent: BBox, width: int, height: int) -> Window:
    left, right = _reach(extent[0] - box[0], extent[2] - box[0], box[2] - box[0], width)
    top, bottom = _reach(box[3] - extent[3], box[3] - extent[1], box[3] - box[1], height)
    return Window(left, top, right - left, bottom - top)


def _reach(begin: float, end: float, length: float, pixels: int) -> tuple[int, int]:
    """First pixel and the one after the last, of a file that lies from begin to end along an image's side."""
    if end - begin >= length:
        return 0, pixels
    first = min(max(int(begin / length * pixels) - _MARGIN, 0), pixels - 1)
    return first, max(min(int(end / length * pixels) + 1 + _MARGIN, pixels), first + 1)


def _placed(read: ImageData, window: Window, box: BBox, width: int, height: int) -> ImageData:
    """The image that was read, as a part of the image that was asked for; the rest is masked."""
    rows, columns = window.toslices()
    array = np.ma.array(np.zeros((read.count, height, width), dtype=read.array.dtype), mask=True)
    array[:, rows, columns] = read.array
    alpha = None
    if read.alpha_mask is not None:
        alpha = np.zeros((height, width), dtype=read.alpha_mask.dtype)
        alpha[rows, columns] = read.alpha_mask
    placed: ImageData = attr.evolve(read, array=array, alpha_mask=alpha, bounds=box)
    return placed
