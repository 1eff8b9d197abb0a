"""A part of a raster as a raster of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from core.contracts.raster import PixelWindow
from core.contracts.storage import BlobName
from core.errors import InvalidRaster
from services.raster.description import Description
from services.raster.gdal import reading


@contextmanager
def windowed(dataset: DatasetReader, window: PixelWindow, name: BlobName, workdir: Path) -> Iterator[DatasetReader]:
    """The part of the raster as a raster of its own, read straight from the source."""
    inside(window, dataset, name)
    described = workdir / f"window-{window.row}-{window.column}.vrt"
    with reading(name, "describe the window"):
        description = Description(dataset, described)
        description.as_one_source(dataset)
        description.cut(window, window_transform(window_of(window), dataset.transform))
        description.save(described)
    with rasterio.open(described) as opened:
        yield opened


def window_of(window: PixelWindow) -> Window:
    """In rasterio's words."""
    return Window(window.column, window.row, window.width, window.height)


def inside(window: PixelWindow, dataset: DatasetReader, name: BlobName) -> None:
    """Raise InvalidRaster unless the whole window lies on the raster."""
    if window.column + window.width > dataset.width or window.row + window.height > dataset.height:
        raise InvalidRaster(
            f"The window at row {window.row}, column {window.column} of {window.width} x {window.height} pixels "
            f"leaves {name}, which has {dataset.width} x {dataset.height}.",
            hint="Make the windows from the size that target_shape tells.",
        )
