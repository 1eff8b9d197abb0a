"""The fields of a COG's full resolution as GDAL writes them, from a file of the same kind that holds no pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.io import DatasetReader

from core.contracts.raster import BandStatistics
from services.raster.description import Description
from services.raster.onepass import tiff

#: These hold the pixels' places, which the COG's own layout decides.
_PLACES = (tiff.TILE_OFFSETS, tiff.TILE_SIZES, tiff.JPEG_TABLES)
_OPEN, _CLOSE = b"<GDALMetadata>\n", b"</GDALMetadata>\n"


def template(
    dataset: DatasetReader,
    options: Mapping[str, str | int],
    statistics: Sequence[BandStatistics | None] | None,
    workdir: Path,
) -> tiff.Directory:
    """CRS, grid, nodata, colours, tags and sample layout of `dataset` with these GTiff creation options.

    `statistics` replaces what the source says of its values; None leaves that as it is.
    """
    described = Description(dataset, workdir / "template.vrt")
    described.drop_pixels()
    if statistics is not None:
        described.state_statistics(statistics)
    empty = workdir / "template.tif"
    with rasterio.open(described.save(workdir / "empty.vrt")) as nothing:
        rasterio.shutil.copy(nothing, empty, driver="GTiff", sparse_ok=True, **options)
    found = tiff.first_directory(empty)
    return {tag: field for tag, field in found.items() if tag not in _PLACES}


def name_resampling(directory: tiff.Directory, resampling: str) -> tiff.Directory:
    """Say how the overviews were made, as the COG driver does."""
    held = directory.get(tiff.METADATA)
    text = held.data.rstrip(b"\0") if held is not None else _OPEN + _CLOSE
    item = f'  <Item name="OVERVIEW_RESAMPLING" domain="IMAGE_STRUCTURE">{resampling}</Item>\n'.encode()
    data = text[: -len(_CLOSE)] + item + _CLOSE + b"\0"
    return {**directory, tiff.METADATA: tiff.Field(tiff.ASCII, len(data), data)}
