"""`process_large_raster_v2`: a raster is cut into tiles, converted in parallel, and catalogued as one collection."""

from __future__ import annotations

from collections.abc import Iterable

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.raster import RASTER_CREATE_COG
from core.contracts.raster_collection import RASTER_CREATE_STAC_COLLECTION
from core.contracts.raster_tiles import RASTER_TILING_SCHEME, LargeRasterParameters, LargeRasterResult
from jobs.large_raster import large_result

NAME = "process_large_raster_v2"
_SCHEME, _COG, _STAC = "tiling_scheme", "create_cog", "stac_collection"


def _plan_scheme(params: LargeRasterParameters, _: StageResults) -> Iterable[TaskSpec]:
    yield TaskSpec("source", params)


def _plan_cogs(params: LargeRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    scheme = results.one(RASTER_TILING_SCHEME, _SCHEME)
    for tile in scheme.tiles:
        yield TaskSpec(tile.key, params.to_tile(scheme, tile))


def _plan_stac(params: LargeRasterParameters, results: StageResults) -> Iterable[TaskSpec]:
    scheme, made = results.one(RASTER_TILING_SCHEME, _SCHEME), results.of(RASTER_CREATE_COG, _COG)
    yield TaskSpec("collection", params.to_catalog(scheme, dict(made)))


def _finalize(params: LargeRasterParameters, results: StageResults) -> LargeRasterResult:
    scheme, made = results.one(RASTER_TILING_SCHEME, _SCHEME), results.of(RASTER_CREATE_COG, _COG)
    cataloged = results.one(RASTER_CREATE_STAC_COLLECTION, _STAC)
    return large_result(NAME, len(JOB.stages), params, scheme, made, cataloged)


JOB = Job(
    name=NAME,
    description="Cut a large raster into tiles, make a COG of each and catalogue them as one collection.",
    parameters=LargeRasterParameters,
    result=LargeRasterResult,
    stages=(
        Stage(_SCHEME, RASTER_TILING_SCHEME, _plan_scheme),
        Stage(_COG, RASTER_CREATE_COG, _plan_cogs, Parallelism.FAN_OUT),
        Stage(_STAC, RASTER_CREATE_STAC_COLLECTION, _plan_stac, Parallelism.FAN_IN),
    ),
    finalize=_finalize,
)
