"""How a raster is shown by default."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from tests.support.raster import RasterRig, write_tiff

RNG = np.random.default_rng(3)


@pytest.fixture
def default_render(tmp_path: Path):
    rig = RasterRig(tmp_path)

    def make(pixels: np.ndarray, **profile: object) -> dict:
        return rig.run(write_tiff(tmp_path / "a.tif", pixels, **profile)).item["properties"]["renders"]["default"]

    return make


def test_bands_follow_their_colours_not_their_positions(default_render):
    colors = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.alpha]
    pixels = RNG.integers(1000, 3000, (4, 30, 30), dtype=np.uint16)
    shown = default_render(pixels, colors=colors)
    assert shown["bidx"] == [3, 2, 1] and len(shown["rescale"]) == 3


def test_a_byte_picture_is_shown_as_it_is(default_render):
    shown = default_render(RNG.integers(0, 255, (3, 30, 30), dtype=np.uint8), photometric="RGB")
    assert shown["bidx"] == [1, 2, 3] and "rescale" not in shown and "colormap_name" not in shown


def test_heights_are_stretched_between_percentiles_that_know_no_nodata(default_render):
    y, _ = np.mgrid[0:200, 0:200]
    pixels = (-40 + y).astype(np.float32)
    pixels[0, :] = -9999
    shown = default_render(pixels, nodata=-9999)
    (low, high) = shown["rescale"][0]
    assert shown["colormap_name"] == "terrain"
    assert (low, high) == pytest.approx((np.percentile(pixels[1:], 2), np.percentile(pixels[1:], 98)), abs=1)
    assert low < 0, "land below the sea is shown, not cut off at zero"


def test_a_palette_brings_its_own_colours(default_render):
    shown = default_render(RNG.integers(0, 9, (30, 30), dtype=np.uint8), palette={1: (1, 2, 3)})
    assert shown["bidx"] == [1] and "colormap_name" not in shown and "rescale" not in shown


def test_many_bands_are_shown_as_sensors_number_them(default_render):
    assert default_render(RNG.integers(0, 9000, (12, 20, 20), dtype=np.uint16))["bidx"] == [4, 3, 2]
    assert default_render(RNG.integers(0, 9000, (8, 20, 20), dtype=np.uint16))["bidx"] == [5, 3, 2]


def test_the_stretch_is_never_empty(default_render):
    (pair,) = default_render(np.full((20, 20), 7, np.int16))["rescale"]
    assert pair[0] < pair[1]
    (nothing,) = default_render(np.zeros((20, 20), np.int16), nodata=0)["rescale"]
    assert nothing == [0.0, 1.0]
