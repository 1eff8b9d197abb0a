"""Differences of neighbours, which compress better than values: predictors 2 and 3 of TIFF."""

from __future__ import annotations

import numpy as np

Tile = np.ndarray


def plain(tile: Tile) -> bytes:
    """No prediction; rows x columns x samples."""
    return np.ascontiguousarray(tile).tobytes()


def horizontal(tile: Tile) -> bytes:
    """Predictor 2: each sample less the one to its left (TIFF 6.0, section 14)."""
    out = np.empty(tile.shape, tile.dtype)
    out[:, 0] = tile[:, 0]
    np.subtract(tile[:, 1:], tile[:, :-1], out=out[:, 1:])
    return out.tobytes()


def floating(tile: Tile) -> bytes:
    """Predictor 3: bytes of a row sorted by significance, then differences (Adobe Photoshop TIFF technical note 3)."""
    rows, columns, samples = tile.shape
    width = tile.dtype.itemsize
    parts = np.ascontiguousarray(tile).view(np.uint8).reshape(rows, columns * samples, width)
    planes = np.empty((rows, width, columns * samples), np.uint8)
    for significance in range(width):
        planes[:, significance] = parts[:, :, width - 1 - significance]
    flat = planes.reshape(rows, columns * samples * width)
    out = np.empty_like(flat)
    out[:, :samples] = flat[:, :samples]
    np.subtract(flat[:, samples:], flat[:, :-samples], out=out[:, samples:])
    return out.tobytes()
