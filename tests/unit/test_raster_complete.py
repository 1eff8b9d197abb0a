"""process_raster_docker as one handler: its progress, and how a stop is remembered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import Interrupted
from services.raster.complete import process
from tests.support.raster import Checkpoint, RasterRig, write_tiff


@pytest.fixture
def source(tmp_path: Path) -> tuple[RasterRig, object]:
    rig = RasterRig(tmp_path)
    pixels = np.random.default_rng(4).integers(1, 900, (1500, 1400), dtype=np.uint16)
    return rig, rig.upload(write_tiff(tmp_path / "a.tif", pixels, nodata=0, tiled=True))


def test_progress_rises_through_the_phases_and_within_the_cog(source) -> None:
    rig, blob = source
    ctx = rig.attempt(Checkpoint())
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
        ctx = rig.attempt(checkpoint, stop_after=asked)
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
    first = process(rig.parameters(blob), rig.attempt(checkpoint))
    rig.storage.delete(first.cogs[0].blob)
    again = process(rig.parameters(blob), rig.attempt(checkpoint))
    assert again.processing.phases_skipped == ("validate",)
    assert rig.storage.head(again.cogs[0].blob).size == again.cogs[0].size_bytes
