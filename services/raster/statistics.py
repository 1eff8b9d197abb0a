"""One pass over every pixel in bounded memory: statistics without nodata, and a checksum that no layout changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import deflate
import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from core.contracts.raster import BandStatistics

#: Values read at once, all bands together; temporaries take up to a few times eight bytes for each.
WINDOW_VALUES = 4 << 20
#: Values worked on at once: what the processor's cache holds.
_PIECE = 1 << 18
_CELL = 512
_SAMPLE = 500_000
MAX_DISTINCT = 256
_GRADIENT_PIXELS = 8_000_000

Array = np.ndarray


def windows(dataset: DatasetReader) -> Iterator[Window]:
    """Windows along the file's blocks, top to bottom; within a checksum cell, rows come in order."""
    width, height = dataset.width, dataset.height
    block_rows, block_columns = dataset.block_shapes[0]
    pixels = max(1, WINDOW_VALUES // dataset.count)
    columns = width
    if block_columns < width:
        step = np.lcm(block_columns, _CELL)
        columns = int(min(width, max(step, pixels // block_rows // step * step)))
    rows = max(1, pixels // columns)
    if rows > block_rows:
        rows -= rows % block_rows
    for row in range(0, height, rows):
        for column in range(0, width, columns):
            yield Window(column, row, min(columns, width - column), min(rows, height - row))


class CellChecksum:
    """CRC-32 over the CRC-32s of 512-pixel cells, so that any order of windows gives the same answer."""

    def __init__(self, width: int, height: int) -> None:
        self._cells = np.zeros((-(-height // _CELL), -(-width // _CELL)), dtype="<u4")

    def update(self, row: int, column: int, pixels: Array) -> None:
        """Take a window whose columns start at a cell's edge."""
        height, width = pixels.shape
        for top in range(row - row % _CELL, row + height, _CELL):
            rows = slice(max(top - row, 0), min(top + _CELL - row, height))
            for left in range(column, column + width, _CELL):
                cell = top // _CELL, left // _CELL
                part = np.ascontiguousarray(pixels[rows, left - column : left - column + _CELL])
                self._cells[cell] = deflate.crc32(part.data, int(self._cells[cell]))

    def hexdigest(self) -> str:
        """Eight hex digits."""
        return f"{deflate.crc32(self._cells.tobytes()):08x}"


@dataclass
class Moments:
    """Count, mean, spread and range of values that come in pieces (Chan, Golub and LeVeque 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = np.inf
    maximum: float = -np.inf

    def add(self, values: Array) -> None:
        """Take one-dimensional finite values."""
        n = values.size
        if n == 0:
            return
        wide = values.astype(np.float64)
        mean = float(wide.mean())
        wide -= mean
        delta, total = mean - self.mean, self.count + n
        # Not np.dot: it wakes threads that spin for longer than the sum takes.
        self.squares += float(np.einsum("i,i", wide, wide)) + delta * delta * self.count * n / total
        self.mean += delta * n / total
        self.count = total
        self.minimum = min(self.minimum, float(values.min()))
        self.maximum = max(self.maximum, float(values.max()))


@dataclass
class BandScan:
    """What is known of one band so far. Types up to 16 bits are counted value by value, others sampled evenly."""

    dtype: np.dtype
    pixels: int
    nodata: float | None
    moments: Moments = field(default_factory=Moments)
    integral: bool = True
    gradient: float = 0.0
    gradient_pairs: int = 0
    _counts: Array | None = None
    _values: set[float] | None = field(default_factory=set)
    _samples: list[Array] = field(default_factory=list)
    _phase: int = 0

    def __post_init__(self) -> None:
        if self.dtype.kind in "ui" and self.dtype.itemsize <= 2:
            self._counts = np.zeros(1 << (8 * self.dtype.itemsize), dtype=np.int64)
        self._stride = max(1, self.pixels // _SAMPLE)

    def valid(self, pixels: Array, mask: Array | None) -> Array | None:
        """Which pixels count; None when all do."""
        flags = mask
        low, high = pixels.min(), pixels.max()
        # A minimum or maximum is not a number as soon as one value is: one look at two numbers for all.
        if self.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
            finite = np.isfinite(pixels)
            flags = finite if flags is None else flags & finite
            low, high = -np.inf, np.inf
        if self.nodata is not None and np.isfinite(self.nodata) and self.holds(self.nodata):
            nothing = self.dtype.type(self.nodata)
            if low <= nothing <= high:
                real = pixels != nothing
                flags = real if flags is None else flags & real
        return flags

    def holds(self, value: float) -> bool:
        """True when a pixel can have this value."""
        if self.dtype.kind == "f":
            return True
        info = np.iinfo(self.dtype)
        return float(value).is_integer() and info.min <= value <= info.max

    def update(self, pixels: Array, mask: Array | None) -> None:
        """Take a window; `mask` is True where the dataset's own mask or alpha says there is data."""
        rows = max(1, _PIECE // pixels.shape[1])
        for top in range(0, pixels.shape[0], rows):
            part = slice(top, top + rows)
            self._take(pixels[part], None if mask is None else mask[part])

    def _take(self, pixels: Array, mask: Array | None) -> None:
        flags = self.valid(pixels, mask)
        self._smoothness(pixels, flags)
        values = pixels.ravel() if flags is None else pixels[flags]
        if self._counts is not None:
            unsigned = values.view(f"u{self.dtype.itemsize}")
            self._counts += np.bincount(unsigned, minlength=self._counts.size)
            return
        self.moments.add(values)
        self._sample(values)
        if self.integral and self.dtype.kind == "f":
            self.integral = bool((values == np.rint(values)).all())
        self._distinguish(values)

    def _sample(self, values: Array) -> None:
        self._samples.append(values[self._phase :: self._stride].copy())
        self._phase = (self._phase - values.size) % self._stride

    def _distinguish(self, values: Array) -> None:
        if self._values is None:
            return
        if np.unique(values[:10_000]).size > MAX_DISTINCT:
            self._values = None
            return
        self._values.update(np.unique(values).tolist())
        if len(self._values) > MAX_DISTINCT:
            self._values = None

    def _smoothness(self, pixels: Array, flags: Array | None) -> None:
        if self.gradient_pairs > _GRADIENT_PIXELS:
            return
        wide = pixels.astype(np.float64)
        step = wide[:, 1:] - wide[:, :-1]
        np.abs(step, out=step)
        if flags is not None:
            step = step[flags[:, 1:] & flags[:, :-1]]
        self.gradient += float(step.sum())
        self.gradient_pairs += step.size

    @property
    def values(self) -> list[float] | None:
        """The values that occur, in order; None above 256 of them."""
        if self._counts is None:
            return None if self._values is None else sorted(self._values)
        present = self._present()
        return [float(v) for v in present] if present.size <= MAX_DISTINCT else None

    def frequency(self, value: float) -> float:
        """Share of the valid pixels that have this value; of the sample for wide types."""
        if self._counts is None:
            sample = np.concatenate(self._samples) if self._samples else np.zeros(0)
            return float((sample == self.dtype.type(value)).mean()) if sample.size else 0.0
        index = int(np.array(value).astype(self.dtype).view(f"u{self.dtype.itemsize}"))
        return float(self._counts[index] / max(1, self._counts.sum()))

    def _present(self) -> Array:
        assert self._counts is not None
        index = np.flatnonzero(self._counts).astype(f"u{self.dtype.itemsize}")
        return np.sort(index.view(self.dtype))

    def _from_counts(self) -> tuple[float, float]:
        """Fill the moments exactly and give the percentiles."""
        assert self._counts is not None
        present = self._present()
        counts = self._counts[present.view(f"u{self.dtype.itemsize}")]
        wide, total = present.astype(np.float64), int(counts.sum())
        mean = float((wide * counts).sum() / total)
        squares = float(((wide - mean) ** 2 * counts).sum())
        self.moments = Moments(total, mean, squares, float(wide[0]), float(wide[-1]))
        ranks = np.searchsorted(np.cumsum(counts), [0.02 * total, 0.98 * total])
        low, high = wide[np.minimum(ranks, wide.size - 1)]
        return float(low), float(high)

    def statistics(self) -> BandStatistics | None:
        """The result; None when no pixel was valid."""
        if self._counts is not None:
            if not self._counts.any():
                return None
            low, high = self._from_counts()
        else:
            if self.moments.count == 0:
                return None
            low, high = (float(v) for v in np.percentile(np.concatenate(self._samples), [2, 98]))
        moments, values = self.moments, self.values
        return BandStatistics(
            minimum=moments.minimum,
            maximum=moments.maximum,
            mean=moments.mean,
            stddev=float(np.sqrt(moments.squares / moments.count)),
            valid_percent=round(100.0 * moments.count / self.pixels, 6),
            percentile_2=low,
            percentile_98=high,
            distinct=None if values is None else len(values),
        )
