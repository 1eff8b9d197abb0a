"""Are two COGs the same raster? Everything a reader can see of them, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.io import DatasetReader
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from core.contracts.raster import OutputTier
from services.raster.onepass.eligibility import refusals
from services.raster.onepass.writer import write_cog
from services.raster.profiles import CogProfile

_ROWS = 2048


def profile(compression: str = "DEFLATE", resampling: str = "AVERAGE", **more: str | int) -> CogProfile:
    options: dict[str, str | int] = {
        "blocksize": 512, "num_threads": "ALL_CPUS", "bigtiff": "IF_SAFER", "overview_resampling": resampling,
        "compress": compression, "overviews": "IGNORE_EXISTING",
        **({"quality": 85} if compression == "JPEG" else {"predictor": "YES"}),
        **({"level": 6} if compression == "DEFLATE" else {}), **more,
    }  # fmt: skip
    return CogProfile(OutputTier.ANALYSIS, compression, options, lossless=compression != "JPEG")


class Rows:
    """The pixels of a dataset, for the one-pass writer."""

    def __init__(self, dataset: DatasetReader) -> None:
        self._dataset = dataset

    def rows(self, first: int, count: int) -> np.ndarray:
        return self._dataset.read(window=Window(0, first, self._dataset.width, count))

    def statistics(self) -> None:
        return None


def both(source: Path, chosen: CogProfile, folder: Path) -> tuple[Path, Path] | list[str]:
    """The COG of the one-pass writer and the driver's; the reasons where the first is not to make it."""
    ours, theirs = folder / "ours.tif", folder / "theirs.tif"
    with rasterio.open(source) as dataset:
        if reasons := list(refusals(dataset, chosen)):
            return reasons
        write_cog(dataset, chosen, ours, Rows(dataset))
        rasterio.shutil.copy(dataset, theirs, driver="COG", **chosen.options)
    return ours, theirs


def assert_same(ours: Path, theirs: Path) -> None:
    """Valid, and equal in pixels and meaning at every resolution."""
    valid = cog_validate(str(ours), strict=True, quiet=True)
    # rio-cogeo takes a level as wide as one tile for a striped one, in the driver's files too.
    assert valid == (True, [], []) or valid == cog_validate(str(theirs), strict=True, quiet=True)
    with rasterio.open(ours) as one, rasterio.open(theirs) as two:
        assert str(one.profile) == str(two.profile)
        assert _meaning(one) == _meaning(two)
        _same_pixels(one, two)
        levels = len(two.overviews(1))
    for level in range(levels):
        with rasterio.open(ours, overview_level=level) as one, rasterio.open(theirs, overview_level=level) as two:
            assert one.shape == two.shape, level
            assert one.nodatavals == two.nodatavals or np.isnan(one.nodata)
            _same_pixels(one, two)


def _meaning(dataset: DatasetReader) -> Mapping[str, object]:
    found = {
        name: getattr(dataset, name)
        for name in ("descriptions", "units", "scales", "offsets", "colorinterp", "mask_flag_enums", "gcps")
    }
    tags = {band: dataset.tags(band) for band in (0, *dataset.indexes)}
    palettes = [dataset.colormap(i) for i in dataset.indexes if dataset.colorinterp[i - 1].name == "palette"]
    overviews = [dataset.overviews(i) for i in dataset.indexes]
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    return {**found, "tags": tags, "palettes": palettes, "overviews": overviews, "structure": structure}


def _same_pixels(one: DatasetReader, two: DatasetReader) -> None:
    for row in range(0, one.height, _ROWS):
        window = Window(0, row, one.width, min(_ROWS, one.height - row))
        np.testing.assert_array_equal(one.read(window=window), two.read(window=window))
        np.testing.assert_array_equal(one.dataset_mask(window=window), two.dataset_mask(window=window))
