"""Reads, compresses and halves a raster in one pass, then lays the COG out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from core.contracts.raster import BandStatistics
from services.raster.onepass.layout import assemble
from services.raster.onepass.pyramid import Sampler, pyramid
from services.raster.onepass.template import name_resampling, template
from services.raster.onepass.tiles import SOMEWHERE, DeflateTiles, GdalTiles, Pixels, TileSink
from services.raster.onepass.zlib_tiles import encoder
from services.raster.profiles import BLOCK, CogProfile


class PixelSource(Protocol):
    """Gives the pixels once, from top to bottom; what it raises ends the writing."""

    def rows(self, first: int, count: int) -> Pixels:
        """All bands of these rows."""
        ...

    def statistics(self) -> Sequence[BandStatistics | None] | None:
        """What the file shall say of its values, once all were read; None: what the source says."""
        ...


def write_cog(dataset: DatasetReader, profile: CogProfile, output: Path, source: PixelSource) -> None:
    """Write what GDAL's COG driver would, for a dataset that `eligibility.refusals` has nothing against.

    Scratch files lie beside the output and are gone afterwards, whatever happens.
    """
    predictor = _predictor(profile, dataset)
    options = gtiff_options(profile, predictor)
    with _scratch(output) as folder, ThreadPoolExecutor(os.cpu_count() or 1) as pool, ExitStack() as files:
        sink = _sinks(dataset, profile, predictor, options, folder, pool, files)
        top = pyramid(dataset.width, dataset.height, dataset.count, _sampler(dataset, profile), sink)
        for row in range(0, dataset.height, BLOCK):
            top.push(source.rows(row, min(BLOCK, dataset.height - row)))
            # Reading ahead would save little time and hold one more row of tiles.
            top.settle()
        levels = top.close()
        fields = template(dataset, options, source.statistics(), folder)
        if len(levels) > 1:
            fields = name_resampling(fields, str(profile.options["overview_resampling"]))
        assemble(output, fields, levels)


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    folder = output.with_name(f"{output.name}.parts")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _sampler(dataset: DatasetReader, profile: CogProfile) -> Sampler:
    resampling = Resampling[str(profile.options["overview_resampling"]).lower()]
    return Sampler(dataset.dtypes[0], dataset.nodata, resampling, dataset.colorinterp)


def _sinks(
    dataset: DatasetReader,
    profile: CogProfile,
    predictor: int,
    options: Mapping[str, str | int],
    folder: Path,
    pool: ThreadPoolExecutor,
    files: ExitStack,
) -> Callable[[int, int, int], TileSink]:
    def make(number: int, width: int, height: int) -> TileSink:
        path = folder / f"level{number}"
        if profile.compression == "DEFLATE":
            encode = encoder(predictor, int(profile.options["level"]))
            return DeflateTiles(width, height, files.enter_context(path.open("wb")), encode, pool)
        kind = {"driver": "GTiff", "transform": SOMEWHERE, "count": dataset.count, "dtype": dataset.dtypes[0]}
        shape = {"width": width, "height": height, "num_threads": "ALL_CPUS"}
        return GdalTiles(files.enter_context(rasterio.open(path, "w", **kind, **shape, **options)))

    return make


def _predictor(profile: CogProfile, dataset: DatasetReader) -> int:
    if profile.options.get("predictor", "NO") == "NO":
        return 1
    return 3 if np.dtype(dataset.dtypes[0]).kind == "f" else 2


def gtiff_options(profile: CogProfile, predictor: int) -> dict[str, str | int]:
    """The COG driver's options in the words of the GTiff driver, which it hands them to."""
    options: dict[str, str | int] = {
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel",
        "compress": profile.compression,
        "bigtiff": "IF_SAFER",
    }
    if predictor > 1:
        options["predictor"] = predictor
    if profile.compression == "JPEG":
        options["jpeg_quality"] = profile.options["quality"]
        options["photometric"] = "YCBCR"
    return options
