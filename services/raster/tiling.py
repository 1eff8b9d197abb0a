"""Cutting a raster into tiles: the scheme, and everything in one checkpointed task."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from core.contracts.context import TaskContext
from core.contracts.raster import CreateCogInput, CreateCogOutput, PixelWindow, RasterInspection
from core.contracts.raster_docker import MemoryReport
from core.contracts.raster_tiles import (
    BLOCK,
    LARGEST,
    SMALLEST,
    LargeRasterParameters,
    ProcessedTiles,
    RasterTile,
    TilingReport,
    TilingScheme,
)
from core.errors import Interrupted
from services.raster import handlers
from services.raster.collections import create_collection
from services.raster.complete import stored
from services.raster.gdal import gdal_session
from services.raster.memory import peak_mb, resident_mb
from services.raster.part import part
from services.raster.source import locate
from services.raster.views import target_shape

#: Uncompressed bytes of a tile whose size nobody asked for.
_TILE_BYTES = 450_000_000
_SCHEME = 1
_MODE = "docker_tiles"


def scheme(params: LargeRasterParameters, ctx: TaskContext) -> TilingScheme:
    """Inspect the source and cut its output into tiles that begin at whole blocks."""
    inspection = handlers.validate(params.to_validate(), ctx)
    whole: CreateCogInput = params.to_convert(inspection)
    with gdal_session(ctx.storage, params.source):
        located = locate(ctx.storage, params.source, ctx.workdir, variable=inspection.variable)
        width, height = target_shape(located, whole)
    side = params.tile_size or chosen_size(inspection)
    return TilingScheme(
        inspection=inspection,
        width=width,
        height=height,
        tile_size=side,
        overlap=params.overlap,
        rows=math.ceil(height / side),
        columns=math.ceil(width / side),
        tiles=tuple(cut(width, height, side, params.overlap)),
    )


def chosen_size(inspection: RasterInspection) -> int:
    """A side in whole blocks that makes tiles of about 450 MB of pixels, within limits."""
    pixel = sum(np.dtype(band.dtype).itemsize for band in inspection.bands)
    side = int(math.sqrt(_TILE_BYTES / pixel)) // BLOCK * BLOCK
    return min(max(side, SMALLEST), LARGEST)


def cut(width: int, height: int, side: int, overlap: int) -> Iterator[RasterTile]:
    """Row by row. Together the tiles hold every pixel; without overlap each once."""
    for row in range(math.ceil(height / side)):
        for column in range(math.ceil(width / side)):
            left, top = column * side, row * side
            window = PixelWindow(
                column=left,
                row=top,
                width=min(side + overlap, width - left),
                height=min(side + overlap, height - top),
            )
            yield RasterTile(key=f"tile_{row}_{column}", window=window)


def process_large(params: LargeRasterParameters, ctx: TaskContext) -> ProcessedTiles:
    """Scheme, every tile, catalogue: one task. The scheme and each finished tile are a checkpoint."""
    started, initial = time.monotonic(), resident_mb()
    plan = _scheme(params, ctx)
    made: dict[str, CreateCogOutput] = {}
    skipped = 0
    for number, tile in enumerate(plan.tiles):
        before, after = (10.0 + 85.0 * (number + step) / len(plan.tiles) for step in (0, 1))
        finished = _finished(ctx, tile)
        skipped += finished is not None
        made[tile.key] = finished or _made(params.to_tile(plan, tile), ctx, tile, (before, after))
    peak = peak_mb()
    with part(ctx, 95.0, 100.0) as phase:
        cataloged = create_collection(params.to_catalog(plan, made), phase)
    return ProcessedTiles(
        scheme=plan,
        made=made,
        cataloged=cataloged,
        processing=TilingReport(
            mode=_MODE,
            total_seconds=round(time.monotonic() - started, 3),
            resumed=skipped > 0,
            resumed_from_phase=_SCHEME + skipped if skipped else None,
            tiles_skipped=skipped,
        ),
        resources=MemoryReport(initial_rss_mb=initial, final_rss_mb=resident_mb(), peak_memory_cog_mb=peak),
    )


def _scheme(params: LargeRasterParameters, ctx: TaskContext) -> TilingScheme:
    if ctx.checkpoint.should_skip(_SCHEME):
        return TilingScheme.model_validate(ctx.checkpoint.data["scheme"])
    with part(ctx, 0.0, 10.0) as phase:
        plan = scheme(params, phase)
    _save(ctx, _SCHEME, "scheme", plan)
    return plan


def _finished(ctx: TaskContext, tile: RasterTile) -> CreateCogOutput | None:
    """What an earlier attempt made of the tile, if it is still in storage."""
    if tile.key not in ctx.checkpoint.data:
        return None
    made = CreateCogOutput.model_validate(ctx.checkpoint.data[tile.key])
    return made if stored(ctx, made) else None


def _made(request: CreateCogInput, ctx: TaskContext, tile: RasterTile, span: tuple[float, float]) -> CreateCogOutput:
    with part(ctx, *span) as phase:
        made = handlers.create_cog(request, phase)
    # Scheme and tiles: a tile that had to be made again takes back none of the others.
    _save(ctx, len({*ctx.checkpoint.data, tile.key}), tile.key, made)
    return made


def _save(ctx: TaskContext, phase: int, name: str, done: TilingScheme | CreateCogOutput) -> None:
    valid = None if isinstance(done, TilingScheme) else lambda _: stored(ctx, done)
    ctx.checkpoint.save(phase, {name: done.model_dump(mode="json")}, valid)
    if ctx.should_stop():
        raise Interrupted(f"Stopped after phase {phase}; the next attempt goes on from there.")
