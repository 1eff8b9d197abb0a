"""A look at a raster for the price of a tile or two, where its pixels are not needed."""

from __future__ import annotations

import math

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from services.raster.gdal import reading
from services.raster.pixels import PixelScan, has_internal_mask
from services.raster.source import Located
from services.raster.statistics import BandScan

#: Side of the picture that is looked at.
SIDE = 512


def glance(dataset: DatasetReader, located: Located) -> PixelScan:
    """Estimates from one overview of at most about 512 pixels, else from one block in the middle; no checksums."""
    window = None
    if dataset.overviews(1) or max(dataset.width, dataset.height) <= SIDE:
        shape = _reduced(dataset)
    else:
        window = _middle(dataset)
        shape = int(window.height), int(window.width)
    with reading(located.name, "read an overview"):
        block = dataset.read(window=window, out_shape=(dataset.count, *shape))
        mask = dataset.dataset_mask(window=window, out_shape=shape) if has_internal_mask(dataset) else None
    alpha = [i for i, color in enumerate(dataset.colorinterp) if color.name == "alpha"]
    seen = mask != 0 if mask is not None else (block[alpha[0]] != 0 if alpha else None)
    scans = []
    for i, (dtype, nodata) in enumerate(zip(dataset.dtypes, dataset.nodatavals, strict=True)):
        band = BandScan(np.dtype(dtype), shape[0] * shape[1], nodata)
        band.update(block[i].astype(band.dtype, copy=False), None if i in alpha else seen)
        scans.append(band)
    return PixelScan(scans, [""] * len(scans), None)


def _reduced(dataset: DatasetReader) -> tuple[int, int]:
    """Exactly the size of an overview, so that GDAL reads it and nothing else."""
    sizes = [(math.ceil(dataset.height / by), math.ceil(dataset.width / by)) for by in (1, *dataset.overviews(1))]
    small = [size for size in sizes if max(size) <= SIDE]
    return max(small, default=min(sizes))


def _middle(dataset: DatasetReader) -> Window:
    rows, columns = (min(size, SIDE) for size in dataset.block_shapes[0])
    top, left = dataset.height // 2 // rows * rows, dataset.width // 2 // columns * columns
    return Window(left, top, min(columns, dataset.width - left), min(rows, dataset.height - top))
