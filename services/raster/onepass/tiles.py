"""Where do a level's pixels go? Rows of tiles are compressed as they come, and end in a file of their own."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from affine import Affine
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from services.raster.onepass import tiff
from services.raster.onepass.layout import StoredLevel, frame
from services.raster.onepass.zlib_tiles import Encoder
from services.raster.profiles import BLOCK

#: Pixels of a level: bands x rows x columns.
Pixels = np.ndarray
#: Scratch rasters lie somewhere, else each opening would warn that they lie nowhere.
SOMEWHERE = Affine.translation(1, 1)


class TileSink(Protocol):
    """Takes a level from top to bottom, 512 rows at a time."""

    def put(self, rows: Pixels) -> None:
        """The next rows: 512 of them, fewer only at the bottom. The array must not change afterwards."""
        ...

    def settle(self) -> None:
        """Let go of all rows that were put."""
        ...

    def close(self) -> StoredLevel:
        """All rows have come."""
        ...


class DeflateTiles:
    """Compressed into zlib streams, faster than GDAL does."""

    def __init__(self, width: int, height: int, file: BinaryIO, encode: Encoder, pool: ThreadPoolExecutor) -> None:
        self._size = width, height
        self._file, self._encode, self._pool = file, encode, pool
        self._sizes: list[int] = []
        self._waiting: deque[Future[bytes | bytearray]] = deque()

    def put(self, rows: Pixels) -> None:
        """Hand the tiles to the pool, once those of the rows before are done: two rows of tiles are held at most."""
        self.settle()
        for column in range(0, rows.shape[2], BLOCK):
            self._waiting.append(self._pool.submit(self._compress, rows[:, :, column : column + BLOCK]))

    def _compress(self, part: Pixels) -> bytes | bytearray:
        below, right = BLOCK - part.shape[1], BLOCK - part.shape[2]
        if below or right:
            part = np.pad(part, ((0, 0), (0, below), (0, right)))
        return self._encode(np.moveaxis(part, 0, -1))

    def settle(self) -> None:
        """Wait for the pool and keep what it made."""
        while self._waiting:
            tile = self._waiting.popleft().result()
            self._file.write(frame(tile))
            self._sizes.append(len(tile))

    def close(self) -> StoredLevel:
        """Wait for the last tiles."""
        self.settle()
        self._file.close()
        return StoredLevel(*self._size, Path(self._file.name), (), self._sizes, framed=True, own={})


class GdalTiles:
    """Compressed by GDAL's own GeoTIFF writer, for every codec it has."""

    def __init__(self, out: DatasetWriter) -> None:
        self._out, self._path = out, Path(out.name)
        self._row = 0

    def put(self, rows: Pixels) -> None:
        """Write a row of tiles."""
        self._out.write(rows, window=Window(0, self._row, rows.shape[2], rows.shape[1]))
        self._row += rows.shape[1]

    def settle(self) -> None:
        """GDAL has copied them."""

    def close(self) -> StoredLevel:
        """Find the tiles in the file that GDAL wrote."""
        size = self._out.width, self._out.height
        self._out.close()
        found = tiff.first_directory(self._path)
        own = {tag: found[tag] for tag in (tiff.JPEG_TABLES,) if tag in found}
        places, sizes = found[tiff.TILE_OFFSETS].numbers(), found[tiff.TILE_SIZES].numbers()
        return StoredLevel(*size, self._path, places, sizes, framed=False, own=own)
