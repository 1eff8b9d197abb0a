"""May the one-pass writer make this COG? The one place that decides; whatever it refuses, GDAL's COG driver makes.

Each rule names a layout whose result was found, or could not be shown, to be other than the driver's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from services.raster.onepass.pyramid import kept_whole, sizes
from services.raster.profiles import BLOCK, CogProfile

_DTYPES = frozenset(
    ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
)  # fmt: skip
_RESAMPLINGS = frozenset(("AVERAGE", "MODE"))
_COMPRESSIONS = frozenset(("DEFLATE", "LZW", "JPEG"))
#: A row of tiles may take this many bytes; several are in memory at once.
ROW_BYTES = 72 << 20


def refusals(dataset: DatasetReader, profile: CogProfile) -> Iterator[str]:
    """Why the driver must make it; nothing when either may."""
    yield from _of_profile(dataset, profile)
    if set(dataset.dtypes) - _DTYPES or len(set(dataset.dtypes)) > 1:
        yield "bands of several types, or of a rare one"
        return
    yield from _of_samples(dataset)
    yield from _of_size(dataset)


def _of_profile(dataset: DatasetReader, profile: CogProfile) -> Iterator[str]:
    if profile.compression not in _COMPRESSIONS:
        yield f"{profile.compression} was not compared with the driver's"
    if str(profile.options["overview_resampling"]) not in _RESAMPLINGS:
        yield "its resampling is not that of a window of the whole"
    if profile.mask_from_nodata and dataset.nodata is not None:
        yield "its nodata becomes a mask"
    if profile.compression == "JPEG" and dataset.count != 3:
        yield "the driver turns a fourth band of a JPEG into a mask"


def _of_samples(dataset: DatasetReader) -> Iterator[str]:
    if len({str(value) for value in dataset.nodatavals}) > 1:
        yield "bands with different nodata values"
    if dataset.nodata is not None and np.dtype(dataset.dtypes[0]) in (np.int64, np.uint64):
        yield "GDAL's two kernels treat 64-bit nodata differently"
    if dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"):
        yield "samples narrower than their type"
    if any(MaskFlags.per_dataset in flags for flags in dataset.mask_flag_enums):
        yield "a mask or alpha band"
    if dataset.gcps[0]:
        yield "control points, which a description rounds"


def _of_size(dataset: DatasetReader) -> Iterator[str]:
    pixel = dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    if dataset.width * BLOCK * pixel > ROW_BYTES:
        yield "a row of tiles is too large to keep in memory"
    levels = sizes(dataset.width, dataset.height)
    if len(levels) == 1 and dataset.overviews(1):
        yield "overviews of a raster that needs none: the driver keeps them"
    if any(min(level) < 1 for level in levels) or min(levels[-1]) == 1 < len(levels):
        yield "too narrow: the driver does not make its overviews from one another"
    if any(height % 2 and not kept_whole(width, height, pixel) for width, height in levels[:-1]):
        yield "an odd number of rows in a level too large to keep whole"
