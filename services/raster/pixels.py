"""All pixels of a dataset, read once in bounded memory: statistics, checksums, and which block cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from core.contracts.storage import BlobName
from core.errors import GeomachineError, UnreadableSource
from services.raster.gdal import reading
from services.raster.statistics import BandScan, CellChecksum, windows

#: Told how far the reading is, 0 to 100; raises to stop.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class PixelScan:
    """What a pass over the pixels found: one scan and checksum per band, and the internal mask's checksum."""

    bands: Sequence[BandScan]
    checksums: Sequence[str]
    mask_checksum: str | None


@dataclass(frozen=True)
class PixelSums:
    """The checksums alone."""

    checksums: Sequence[str]
    mask_checksum: str | None


class Gatherer:
    """Takes all windows of a dataset, in the order of `windows` or row by row, and tells what they hold."""

    def __init__(self, dataset: DatasetReader) -> None:
        pixels = dataset.width * dataset.height
        kinds = zip(dataset.dtypes, dataset.nodatavals, strict=True)
        self._bands = [BandScan(np.dtype(dtype), pixels, value) for dtype, value in kinds]
        self._sums = [CellChecksum(dataset.width, dataset.height) for _ in self._bands]
        self._alpha = [i for i, color in enumerate(dataset.colorinterp) if color.name == "alpha"]
        self._mask_sum = CellChecksum(dataset.width, dataset.height)
        self._masked = False

    def take(self, row: int, column: int, block: np.ndarray, mask: np.ndarray | None) -> None:
        """The pixels of a window whose first ones are given, and those of the internal mask."""
        if mask is not None:
            self._masked = True
            self._mask_sum.update(row, column, mask)
        seen = mask != 0 if mask is not None else (block[self._alpha[0]] != 0 if self._alpha else None)
        for i, band in enumerate(self._bands):
            values = block[i].astype(band.dtype, copy=False)
            self._sums[i].update(row, column, values)
            band.update(values, None if i in self._alpha else seen)

    def result(self) -> PixelScan:
        """After the last window."""
        mask = self._mask_sum.hexdigest() if self._masked else None
        return PixelScan(self._bands, [band.hexdigest() for band in self._sums], mask)


def scan(dataset: DatasetReader, name: BlobName, progress: Progress) -> PixelScan:
    """Read every pixel once. Raises UnreadableSource with the first block that fails."""
    gatherer = Gatherer(dataset)
    for row, column, block, mask in _blocks(dataset, name, progress):
        gatherer.take(row, column, block, mask)
    return gatherer.result()


def checksums(dataset: DatasetReader, name: BlobName, progress: Progress) -> PixelSums:
    """The checksums that `scan` makes, without the statistics."""
    sums = [CellChecksum(dataset.width, dataset.height) for _ in dataset.indexes]
    mask_sum = CellChecksum(dataset.width, dataset.height)
    for row, column, block, mask in _blocks(dataset, name, progress):
        for i, band in enumerate(sums):
            band.update(row, column, block[i].astype(np.dtype(dataset.dtypes[i]), copy=False))
        if mask is not None:
            mask_sum.update(row, column, mask)
    return PixelSums([band.hexdigest() for band in sums], mask_sum.hexdigest() if has_internal_mask(dataset) else None)


def _blocks(
    dataset: DatasetReader, name: BlobName, progress: Progress
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray | None]]:
    """Every window: its first row and column, its pixels, and those of the internal mask where there is one."""
    masked = has_internal_mask(dataset)
    done, pixels = 0, dataset.width * dataset.height
    for window in windows(dataset):
        block, mask = read(dataset, window, name, masked)
        yield int(window.row_off), int(window.col_off), block, mask
        done += int(window.width * window.height)
        progress(100.0 * done / pixels)


def has_internal_mask(dataset: DatasetReader) -> bool:
    """True for a mask of its own, neither alpha nor nodata."""
    flags = dataset.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def read(dataset: DatasetReader, window: Window, name: BlobName, masked: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """All bands of a window, and its mask when asked. Raises UnreadableSource naming band and block of a file."""
    try:
        with reading(name, "read pixels"):
            return dataset.read(window=window), dataset.dataset_mask(window=window) if masked else None
    except UnreadableSource as e:
        if isinstance(dataset, WarpedVRT):
            raise  # its blocks are not those of the file
        raise _first_bad_block(dataset, window, name, e) from e


def _first_bad_block(dataset: DatasetReader, window: Window, name: BlobName, cause: GeomachineError) -> GeomachineError:
    row, column = int(window.row_off), int(window.col_off)
    for band in dataset.indexes:
        rows, columns = dataset.block_shapes[band - 1]
        for top in range(row - row % rows, row + int(window.height), rows):
            for left in range(column - column % columns, column + int(window.width), columns):
                size = min(columns, dataset.width - left), min(rows, dataset.height - top)
                what = f"read band {band}, block at row {top}, column {left}"
                try:
                    with reading(name, what):
                        dataset.read(band, window=Window(left, top, *size))
                except GeomachineError as e:
                    return e
    return cause
