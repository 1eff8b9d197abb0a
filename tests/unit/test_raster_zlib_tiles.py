"""Tiles of DEFLATE: read by any zlib, never noticeably larger than level 6, smaller where that search is in vain."""

from __future__ import annotations

import zlib

import deflate
import numpy as np
import pytest

from services.raster.onepass import predictors
from services.raster.onepass.zlib_tiles import encoder

RNG = np.random.default_rng(31)
Y, X = np.mgrid[0:512, 0:512]
NOISY = (np.stack([X // 6, Y // 6, (X + Y) // 9], -1) + RNG.normal(60, 3, (512, 512, 3))).astype(np.uint8)
CLASSES = np.kron(RNG.choice([10, 20, 90], (64, 64)), np.ones((8, 8)))[..., None].astype(np.uint8)
TILES = {
    "picture": (2, NOISY),
    "radar": (3, RNG.gamma(1, 0.1, (512, 512, 1)).astype(np.float32)),
    "classes": (1, CLASSES),
    "repeating": (2, np.tile(RNG.integers(0, 255, (512, 64, 1), np.uint8), (1, 8, 1))),
    "nothing": (3, np.full((512, 512, 1), -9999, np.float32)),
    "tiny": (1, np.zeros((1, 3, 1), np.uint8)),
}


@pytest.mark.parametrize("name", TILES)
def test_a_tile_is_a_zlib_stream_no_larger_than_level_6_makes_it(name):
    predictor, tile = TILES[name]
    made = encoder(predictor, 6)(tile)
    predicted = {1: predictors.plain, 2: predictors.horizontal, 3: predictors.floating}[predictor](tile)
    assert zlib.decompress(made) == predicted
    assert len(made) <= len(deflate.zlib_compress(predicted, 6))
    assert encoder(predictor, 6)(tile) == made


def test_noise_is_not_searched_for_repetitions_and_repetitions_are_found():
    for name, smaller in (("picture", True), ("repeating", False)):
        predictor, tile = TILES[name]
        level6 = len(deflate.zlib_compress(predictors.horizontal(tile), 6))
        assert (len(encoder(predictor, 6)(tile)) < level6) == smaller
