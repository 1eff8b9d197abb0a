"""A whole raster in one task: validate, COG, STAC. What an earlier attempt finished is not done again.

The third phase is the transaction that completes the task, so it needs no checkpoint: it is done, or it is not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import JsonValue

from core.contracts.context import TaskContext
from core.contracts.raster import CreateCogOutput, ProcessRasterParameters, RasterInspection
from core.contracts.raster_docker import MemoryReport, PhaseReport, ProcessedRaster
from core.errors import Interrupted, SourceNotFound
from services.raster import handlers
from services.raster.memory import peak_mb, resident_mb
from services.raster.part import part

VALIDATE, COG = 1, 2
_NAMES = {VALIDATE: "validate", COG: "create_cog"}
_MODE = "docker_single_stage"


def process(params: ProcessRasterParameters, ctx: TaskContext) -> ProcessedRaster:
    """Run the phases that are still to do."""
    started, initial = time.monotonic(), resident_mb()
    skipped = [phase for phase in _NAMES if ctx.checkpoint.should_skip(phase)]
    inspection = _inspected(params, ctx)
    made, again = _converted(params, inspection, ctx)
    peak = peak_mb()
    if again:
        skipped.remove(COG)
    describing = time.monotonic()
    with part(ctx, 80.0, 100.0) as phase:
        stac = handlers.extract_stac(params.to_describe(inspection, made), phase)
    ended = time.monotonic()
    return ProcessedRaster(
        inspection=inspection,
        cogs=made.cogs,
        findings=made.findings,
        stac=stac,
        processing=PhaseReport(
            mode=_MODE,
            total_seconds=round(ended - started, 3),
            validation_seconds=_seconds(ctx, VALIDATE),
            cog_seconds=_seconds(ctx, COG),
            stac_seconds=round(ended - describing, 3),
            resumed=bool(skipped),
            resumed_from_phase=max(skipped, default=None),
            phases_skipped=tuple(_NAMES[phase] for phase in skipped),
        ),
        resources=MemoryReport(initial_rss_mb=initial, final_rss_mb=resident_mb(), peak_memory_cog_mb=peak),
    )


def _inspected(params: ProcessRasterParameters, ctx: TaskContext) -> RasterInspection:
    if ctx.checkpoint.should_skip(VALIDATE):
        return RasterInspection.model_validate(ctx.checkpoint.data["inspection"])
    started = time.monotonic()
    with part(ctx, 0.0, 20.0) as phase:
        inspection = handlers.validate(params.to_validate(), phase)
    _save(ctx, VALIDATE, started, {"inspection": inspection.model_dump(mode="json")})
    return inspection


def _converted(
    params: ProcessRasterParameters, inspection: RasterInspection, ctx: TaskContext
) -> tuple[CreateCogOutput, bool]:
    """The COGs, and whether they had to be made again because what the checkpoint promised is gone."""
    finished = ctx.checkpoint.should_skip(COG)
    if finished:
        made = CreateCogOutput.model_validate(ctx.checkpoint.data["made"])
        if stored(ctx, made):
            return made, False
    started = time.monotonic()
    with part(ctx, 20.0, 80.0) as phase:
        made = handlers.create_cog(params.to_convert(inspection), phase)
    _save(ctx, COG, started, {"made": made.model_dump(mode="json")})
    return made, finished


def stored(ctx: TaskContext, made: CreateCogOutput) -> bool:
    """True when every COG lies in storage with the size it was made with."""
    try:
        return all(ctx.storage.head(cog.blob).size == cog.size_bytes for cog in made.cogs)
    except SourceNotFound:
        return False


def _save(ctx: TaskContext, phase: int, started: float, data: Mapping[str, JsonValue]) -> None:
    def valid(saved: Mapping[str, JsonValue]) -> bool:
        return "made" not in saved or stored(ctx, CreateCogOutput.model_validate(saved["made"]))

    seconds = round(time.monotonic() - started, 3)
    ctx.checkpoint.save(phase, {**data, f"{_NAMES[phase]}_seconds": seconds}, valid)
    if ctx.should_stop():
        raise Interrupted(f"Stopped after phase {phase}; the next attempt goes on from there.")


def _seconds(ctx: TaskContext, phase: int) -> float:
    seconds = ctx.checkpoint.data[f"{_NAMES[phase]}_seconds"]
    assert isinstance(seconds, int | float)  # as _save has written it
    return float(seconds)
