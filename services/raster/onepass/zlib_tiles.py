"""How is a tile compressed into a zlib stream? By whichever of two searches a sample of it says is smaller."""

from __future__ import annotations

from collections.abc import Callable

import deflate
import numpy as np
from zlib_ng import zlib_ng

from services.raster.onepass import predictors

Encoder = Callable[[np.ndarray], bytes | bytearray]
#: A sample is this part of a tile, from its middle. A quarter of it misjudges tiles of mixed content.
_SAMPLE = 16
_WINDOW_BITS, _MEMORY = 15, 9


def encoder(predictor: int, level: int) -> Encoder:
    """Predict, then compress; the same tile always gives the same bytes."""
    predict = {1: predictors.plain, 2: predictors.horizontal, 3: predictors.floating}[predictor]
    return lambda tile: _smaller(memoryview(predict(tile)), level)


def _smaller(data: memoryview, level: int) -> bytes | bytearray:
    size = len(data) // _SAMPLE
    start = (len(data) - size) // 2
    sample = data[start : start + size]
    if len(_runs(sample)) <= len(deflate.zlib_compress(sample, level)):
        return _runs(data)
    return deflate.zlib_compress(data, level)


def _runs(data: memoryview) -> bytes:
    """Runs of one byte and frequent bytes in short codes, no search for repetitions.

    A sensor's noise leaves differences that never repeat. Matches found in them by chance take more bits than the bytes
    that they stand for, and three quarters of the time.
    """
    stream = zlib_ng.compressobj(1, zlib_ng.DEFLATED, _WINDOW_BITS, _MEMORY, zlib_ng.Z_RLE)
    return stream.compress(data) + stream.flush()
