"""What the raster benchmarks need: generated rasters, fresh processes, their CPU seconds and peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from services.raster.memory import peak_mb

ROOT = Path(__file__).resolve().parents[1]
_TEXTURE = 2048
_STEP = 500


def generate(kind: str, folder: Path, width: int, height: int) -> Path:
    """`dem` (float32, strips, nodata at the edges) or `rgb` (uint8, tiles): smooth shapes with sensor noise on them."""
    path = folder / f"{kind}-{width}x{height}.tif"
    if path.exists():
        return path
    shared = {"driver": "GTiff", "width": width, "height": height, "crs": "EPSG:32736", "BIGTIFF": "IF_SAFER"}
    if kind == "dem":
        profile = {**shared, "count": 1, "dtype": "float32", "nodata": -9999}
    else:
        tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel", "photometric": "RGB"}
        profile = {**shared, **tiles, "count": 3, "dtype": "uint8"}
    partial = path.with_suffix(".partial")
    texture, rng = _fractal(), np.random.default_rng(5)
    transform = from_origin(170_000, 9_880_000, 10, 10)
    with rasterio.Env(GDAL_CACHEMAX=64 << 20), rasterio.open(partial, "w", transform=transform, **profile) as out:
        for row in range(0, height, _STEP):
            rows = min(_STEP, height - row)
            window = Window(0, row, width, rows)
            out.write(
                (_heights if kind == "dem" else _colors)(_enlarged(texture, row, rows, width), rng), window=window
            )
    partial.rename(path)
    return path


def _fractal() -> np.ndarray:
    """Spectral noise whose edges meet, zero mean, unit deviation."""
    x, y = np.fft.rfftfreq(_TEXTURE)[None, :], np.fft.fftfreq(_TEXTURE)[:, None]
    frequency = np.hypot(x, y)
    frequency[0, 0] = 1
    phases = np.exp(2j * np.pi * np.random.default_rng(1).random(frequency.shape))
    found = np.fft.irfft2(frequency**-1.6 * phases, s=(_TEXTURE, _TEXTURE)).astype(np.float32)
    return (found - found.mean()) / found.std()


def _enlarged(texture: np.ndarray, row: int, rows: int, width: int) -> np.ndarray:
    """Rows of the texture, repeated for ever and five times as large."""
    out = np.empty((rows, width), np.float32)
    tiled = np.take(texture, np.arange(row // 5 - 4, (row + rows) // 5 + 5), axis=0, mode="wrap")
    tiled = np.take(tiled, np.arange(width // 5 + 8), axis=1, mode="wrap")
    source = from_origin(0, -(row // 5 - 4) * 5, 5, 5)
    grid = {"src_crs": "EPSG:32736", "dst_crs": "EPSG:32736", "src_transform": source}
    reproject(tiled, out, dst_transform=from_origin(0, -row, 1, 1), resampling=Resampling.cubic, **grid)
    return out


def _heights(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    heights = 1800 + 350 * shape + rng.normal(0, 0.25, shape.shape).astype(np.float32)
    heights[:, :120] = -9999
    return heights[np.newaxis]


def _colors(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bands = [mean + spread * shape for mean, spread in ((96, 40), (110, 36), (82, 30))]
    noise = rng.normal(0, 3, (3, *shape.shape)).astype(np.float32)
    return np.clip(np.stack(bands) + noise, 0, 255).astype(np.uint8)


def measured(work: Callable[[], None]) -> dict[str, float]:
    """CPU seconds of the work, imports left out, and the peak memory of this process in MB."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Not getrusage: its peak includes the parent's, from which this process was forked.
    peak = peak_mb() or 0.0
    return {"cpu_s": round(cpu, 2), "wall_s": round(time.perf_counter() - started, 2), "peak_mb": round(peak)}


def fresh(case: str, source: Path, folder: Path) -> dict[str, float]:
    """Run a case of benchmarks/raster.py in a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks/raster.py"), "--case", case, "--source", str(source)]
    done = subprocess.run([*command, "--folder", str(folder)], capture_output=True, text=True, timeout=3600, cwd=ROOT)
    lines = [line for line in done.stdout.splitlines() if line.startswith("CASE ")]
    if not lines:
        raise SystemExit(f"{case} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(lines[0].removeprefix("CASE "))
    return found
