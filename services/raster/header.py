"""What does a raster's header say, before any pixel is read? Refuses by it what could not be read in bounded memory."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import numpy as np
from rasterio.io import DatasetReader

from core.contracts.raster import RasterLayout
from core.errors import InvalidRaster, UnsupportedFormat
from services.stac.properties import timestamp

#: Bands above which no item could describe them; bytes above which a single block is not decoded.
MAX_BANDS = 1000
MAX_BLOCK_BYTES = 512 << 20
_CODECS = {"YCbCr JPEG": "JPEG"}


def check_structure(dataset: DatasetReader, label: str, max_pixels: int) -> None:
    """Refuse by the header alone: no bands, too many or too large pixels or blocks, values no COG can hold."""
    if dataset.count == 0:
        raise InvalidRaster(f"{label} holds no raster band.", hint="Export the raster as a GeoTIFF.")
    total = dataset.width * dataset.height
    if total > max_pixels:
        raise InvalidRaster(
            f"{label} has {dataset.width} x {dataset.height} = {total} pixels, more than the {max_pixels} allowed.",
            hint="Split it into tiles and submit them as a collection, or have RASTER_MAX_PIXELS raised.",
        )
    if dataset.count > MAX_BANDS:
        raise InvalidRaster(
            f"{label} has {dataset.count} bands; at most {MAX_BANDS} are described in one item.",
            hint="Split it by band or by time.",
        )
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise UnsupportedFormat(
            f"{label} has complex values ({dataset.dtypes[0]}).", hint="Convert it to amplitude or intensity first."
        )
    kinds = sorted(set(dataset.dtypes))
    if len(kinds) > 1:
        listed = ", ".join(f"band {i} {dtype}" for i, dtype in zip(dataset.indexes, dataset.dtypes, strict=True))
        raise InvalidRaster(
            f"{label} mixes types of numbers ({listed[:300]}); the bands of a COG share one.",
            hint="Convert the bands to one type, or submit them as files of their own.",
        )
    _check_blocks(dataset, label)


def _check_blocks(dataset: DatasetReader, label: str) -> None:
    interleaved = dataset.count if dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL" else 1
    rows, columns = dataset.block_shapes[0]
    size = rows * columns * np.dtype(dataset.dtypes[0]).itemsize * interleaved
    if size > MAX_BLOCK_BYTES:
        raise InvalidRaster(
            f"A single block of {label} is {columns} x {rows} pixels, {size >> 20} MiB when unpacked; "
            f"at most {MAX_BLOCK_BYTES >> 20} MiB are.",
            hint="Write it again in tiles, for example with gdal_translate -co TILED=YES.",
        )


def layout(dataset: DatasetReader) -> RasterLayout:
    """How the file keeps its pixels."""
    rows, columns = dataset.block_shapes[0]
    codec = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION")
    return RasterLayout(
        compression=_CODECS.get(codec, codec) if codec else None,
        block_width=columns,
        block_height=rows,
        tiled=bool(dataset.profile.get("tiled")) or columns < dataset.width,
        overviews=tuple(dataset.overviews(1)),
    )


def acquisition_time(dataset: DatasetReader) -> str | None:
    """When the picture was taken, from the tags GDAL knows for it; without a time zone it is taken for UTC."""
    stated = dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME") or dataset.tags().get("TIFFTAG_DATETIME")
    if not stated:
        return None
    for form in ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S", "%Y:%m:%d %H:%M:%S"):
        try:
            moment = datetime.strptime(stated.strip(), form)  # noqa: DTZ007  the zone is set below
        except ValueError:
            continue
        return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return None


def cloud_cover(dataset: DatasetReader) -> float | None:
    """Percent, where the file says."""
    with contextlib.suppress(ValueError):
        percent = float(dataset.tags(ns="IMAGERY").get("CLOUDCOVER", "nan"))
        return percent if 0.0 <= percent <= 100.0 else None
    return None
