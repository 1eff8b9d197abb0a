"""A worker whose process is killed at a boundary of process_raster_docker: python -m tests.support.raster_crash.

The raster's title says where. "checkpoint 1" dies right after the first phase was saved, "before commit" after the
handler's last line; only the first attempt dies. "everywhere" takes the worker's parent along, at one boundary after
another, each in an attempt of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

import structlog
from pydantic import JsonValue

import config
from core.contracts.context import ArtifactCheck, TaskContext
from core.contracts.raster import ProcessRasterParameters
from core.contracts.raster_docker import RASTER_PROCESS_COMPLETE, ProcessedRaster
from core.contracts.raster_tiles import RASTER_PROCESS_LARGE, LargeRasterParameters, ProcessedTiles
from core.machine.registry import Registry
from infrastructure import telemetry
from jobs.registry import JOBS
from services.raster.complete import process
from services.raster.tiling import process_large
from services.registry import HANDLERS
from triggers.worker import parent

_HERE = "tests.support.raster_crash"
_DOOMED = {RASTER_PROCESS_COMPLETE: f"{_HERE}:handle", RASTER_PROCESS_LARGE: f"{_HERE}:handle_large"}
REGISTRY = Registry(JOBS, {**HANDLERS, **_DOOMED})


class Doomed:
    """The real context, except that the process dies once the named phase is saved."""

    def __init__(self, ctx: TaskContext, phase: int, with_parent: bool) -> None:
        self._ctx, self._phase, self._with_parent = ctx, phase, with_parent
        self.data = ctx.checkpoint.data
        self.should_skip = ctx.checkpoint.should_skip

    def __getattr__(self, name: str) -> object:
        return getattr(self._ctx, name)

    @property
    def checkpoint(self) -> Doomed:
        return self

    def save(self, phase: int, data: Mapping[str, JsonValue], validate_artifact: ArtifactCheck | None = None) -> None:
        self._ctx.checkpoint.save(phase, data, validate_artifact)
        if phase == self._phase:
            die(with_parent=self._with_parent)


def die(*, with_parent: bool = False) -> None:
    """As the kernel kills: no handler, no clean-up."""
    if with_parent:
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def handle(params: ProcessRasterParameters, ctx: TaskContext) -> ProcessedRaster:
    """Process, and die where the raster's title says."""
    where = params.title or ""
    everywhere = where == "everywhere"
    if everywhere:
        where = {1: "checkpoint 1", 2: "checkpoint 2", 3: "before commit"}.get(ctx.attempt, "")
    elif ctx.attempt > 1:
        where = ""
    done = process(params, Doomed(ctx, int(where[-1]), everywhere) if where.startswith("checkpoint") else ctx)
    if where == "before commit":
        die(with_parent=everywhere)
    return done


def handle_large(params: LargeRasterParameters, ctx: TaskContext) -> ProcessedTiles:
    """Process, and die after the checkpoint that the raster's title names."""
    where = (params.title or "") if ctx.attempt == 1 else ""
    return process_large(params, Doomed(ctx, int(where[-1]), False) if where.startswith("checkpoint") else ctx)


def main() -> None:
    parent.run(config.load(), structlog.get_logger(), processes=int(sys.argv[1]), module="tests.support.raster_runner")


if __name__ == "__main__":
    telemetry.configure()
    main()
