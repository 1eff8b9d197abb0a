"""From rows of full resolution to all overviews, each made by GDAL's own kernel, in a few rows' memory.

A level too large to keep is halved as its rows come; that equals halving it whole only when its height is even.
A smaller one is kept whole, so that GDAL may spread an odd row over all the others as it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import Resampling

from services.raster.onepass.layout import StoredLevel
from services.raster.onepass.tiles import SOMEWHERE, Pixels, TileSink
from services.raster.profiles import BLOCK

#: Levels of up to this many bytes are kept whole.
WHOLE = 32 << 20
#: Rows halved at once.
_ROWS = 64


@dataclass(frozen=True)
class Sampler:
    """How pixels become overviews."""

    dtype: str
    nodata: float | None
    resampling: Resampling
    colors: Sequence[rasterio.enums.ColorInterp]

    def reduce(self, pixels: Pixels, width: int, height: int) -> Pixels:
        """The pixels at another size."""
        bands, rows, columns = pixels.shape
        kind = {"driver": "MEM", "dtype": self.dtype, "nodata": self.nodata, "transform": SOMEWHERE}
        with rasterio.open("level", "w+", count=bands, height=rows, width=columns, **kind) as held:
            held.colorinterp = self.colors
            held.write(pixels)
            reduced: Pixels = held.read(out_shape=(bands, height, width), resampling=self.resampling)
            return reduced


def sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Width and height of each level, the full resolution first, as GDAL's COG driver chooses them."""
    found = [(width, height)]
    while max(found[-1]) > BLOCK:
        width, height = found[-1]
        found.append((width // 2, height // 2))
    return found


def kept_whole(width: int, height: int, pixel_bytes: int) -> bool:
    """Whether a level of this size is gathered before it is halved."""
    return width * height * pixel_bytes <= WHOLE


class Level:
    """One resolution: its rows come in any number, leave to its sink by 512, and go on halved to the next level."""

    def __init__(self, shape: tuple[int, int, int], sampler: Sampler, sink: TileSink, smaller: Level | None) -> None:
        self._bands, self._height, self._width = shape
        self._sampler, self._sink, self._smaller = sampler, sink, smaller
        self._whole = kept_whole(self._width, self._height, self._bands * np.dtype(sampler.dtype).itemsize)
        self._done = 0
        self._held = self._room()
        self._filled = 0

    def _room(self) -> Pixels:
        rows = self._height if self._whole else min(BLOCK, self._height - self._done)
        return np.empty((self._bands, rows, self._width), self._sampler.dtype)

    def push(self, rows: Pixels) -> None:
        """The next rows; the array is kept, and must not change afterwards."""
        while rows.shape[1]:
            fitting = self._held.shape[1] - self._filled
            part, rows = rows[:, :fitting], rows[:, fitting:]
            if part.shape[1] == self._held.shape[1]:
                self._held = part
            else:
                self._held[:, self._filled : self._filled + part.shape[1]] = part
            self._filled += part.shape[1]
            if self._filled == self._held.shape[1]:
                self._pass_on()

    def _pass_on(self) -> None:
        full = self._held
        self._done += self._filled
        for top in range(0, self._filled, BLOCK):
            self._sink.put(full[:, top : top + BLOCK])
        self._filled = 0
        if self._done < self._height:
            self._held = self._room()
        if self._smaller is not None:
            self._halve(full, self._smaller)

    def _halve(self, full: Pixels, smaller: Level) -> None:
        if self._whole:
            smaller.push(self._sampler.reduce(full, smaller._width, smaller._height))
            return
        for top in range(0, full.shape[1], _ROWS):
            rows = full[:, top : top + _ROWS]
            smaller.push(self._sampler.reduce(rows, smaller._width, rows.shape[1] // 2))

    def settle(self) -> None:
        """Let go of rows that only wait to be compressed, at all levels."""
        self._sink.settle()
        if self._smaller is not None:
            self._smaller.settle()

    def close(self) -> list[StoredLevel]:
        """What the sinks made, this level first."""
        return [self._sink.close(), *(self._smaller.close() if self._smaller else [])]


def pyramid(width: int, height: int, bands: int, sampler: Sampler, sink: Callable[[int, int, int], TileSink]) -> Level:
    """All levels, full resolution first; `sink` makes one from a level's number, width and height."""
    smaller: Level | None = None
    for number, (columns, rows) in reversed(list(enumerate(sizes(width, height)))):
        smaller = Level((bands, rows, columns), sampler, sink(number, columns, rows), smaller)
    assert smaller is not None
    return smaller
