"""process_raster_docker as one handler: its progress, and how a stop is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from core.errors import ContractViolation, Interrupted
from services.raster.complete import process
from tests.support.raster import Context, RasterRig, write_tiff


@dataclass
class Checkpoint:
    """Finished phases, in memory."""

    phase: int = 0
    data: dict = field(default_factory=dict)

    def should_skip(self, phase: int) -> bool:
        return phase <= self.phase

    def save(self, phase: int, data: Mapping, validate_artifact: Callable[[Mapping], bool] | None = None) -> None:
        if validate_artifact is not None and not validate_artifact(data):
            raise ContractViolation("no artifact")
        self.phase = phase
        self.data.update(data)


@pytest.fixture
def source(tmp_path: Path) -> tuple[RasterRig, object]:
    rig = RasterRig(tmp_path)
    pixels = np.random.default_rng(4).integers(1, 900, (1500, 1400), dtype=np.uint16)
    return rig, rig.upload(write_tiff(tmp_path / "a.tif", pixels, nodata=0, tiled=True))


def attempt(rig: RasterRig, checkpoint: Checkpoint, stop_after: int | None = None) -> Context:
    ctx = rig.context(stop_after)
    ctx.checkpoint = checkpoint  # type: ignore[attr-defined]
    ctx.task_id = "t"  # type: ignore[attr-defined]
    return ctx


def test_progress_rises_through_the_phases_and_within_the_cog(source) -> None:
    rig, blob = source
    ctx = attempt(rig, Checkpoint())
    process(rig.parameters(blob), ctx)
    percents = [percent for percent, _ in ctx.progress]
    assert percents == sorted(percents) and percents[0] >= 0 and percents[-1] <= 100
    within = {percent for percent, message in ctx.progress if "COG" in message and 20 < percent < 80}
    assert len(within) >= 3


def test_a_stop_keeps_what_is_finished_and_the_next_attempt_goes_on(source) -> None:
    rig, blob = source
    checkpoint, asked, attempts = Checkpoint(), 1, 0
    while True:
        attempts += 1
        ctx = attempt(rig, checkpoint, stop_after=asked)
        try:
            done = process(rig.parameters(blob), ctx)
        except Interrupted:
            assert ctx.effects == []
            asked += 3
            continue
        break
    assert attempts > 2
    assert done.processing.resumed and done.processing.resumed_from_phase in (1, 2)
    assert [cog.name.path for cog in rig.storage.list("silver-cogs")] == [done.cogs[0].blob_name]


def test_a_checkpoint_whose_file_is_gone_is_not_believed(source) -> None:
    rig, blob = source
    checkpoint = Checkpoint()
    first = process(rig.parameters(blob), attempt(rig, checkpoint))
    rig.storage.delete(first.cogs[0].blob)
    again = process(rig.parameters(blob), attempt(rig, checkpoint))
    assert again.processing.phases_skipped == ("validate",)
    assert rig.storage.head(again.cogs[0].blob).size == again.cogs[0].size_bytes
