"""process_large_raster_docker as one handler: the room it takes, and what it does not do twice."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from core.contracts.raster_tiles import LargeRasterParameters, ProcessedTiles
from core.contracts.storage import BlobName, StoredBlob
from core.errors import Interrupted
from infrastructure.storage.local import LocalStorage
from services.raster.tiling import process_large
from tests.support.raster import Checkpoint, RasterRig, write_tiff


class Watching(LocalStorage):
    """Notes at every COG that is stored what lies in the folder of the attempts."""

    scratch: Path
    room: list[int]
    uploads: list[str]

    def upload(self, source: Path, name: BlobName, **more: object) -> StoredBlob:
        if name.zone == "silver":
            self.room.append(sum(path.is_file() for path in self.scratch.glob("work*/**/*")))
            self.uploads += re.findall(r"r\d+-c\d+", name.path)
        return super().upload(source, name, **more)  # type: ignore[arg-type]


@pytest.fixture
def rig(tmp_path: Path) -> RasterRig:
    storage = Watching(tmp_path / "store")
    storage.scratch, storage.room, storage.uploads = tmp_path, [], []
    return RasterRig(tmp_path, storage)


@pytest.fixture
def params(rig: RasterRig, tmp_path: Path) -> LargeRasterParameters:
    pixels = np.random.default_rng(5).integers(1, 900, (1000, 1500), dtype=np.uint16)
    blob = rig.upload(write_tiff(tmp_path / "large.tif", pixels, nodata=0, tiled=True))
    return LargeRasterParameters(
        container_name=blob.container, blob_name=blob.path, collection_id="c", access_level="public",
        tile_size=512, target_crs="EPSG:4326",
    )  # fmt: skip


def test_a_tile_s_files_are_gone_before_the_next_is_made(rig: RasterRig, params: LargeRasterParameters) -> None:
    process_large(params, rig.attempt(Checkpoint()))
    room = rig.storage.room  # type: ignore[attr-defined]
    assert len(room) >= 6 and set(room) == {room[0]}


def test_a_tile_whose_file_is_gone_is_made_again_and_no_other(rig: RasterRig, params: LargeRasterParameters) -> None:
    checkpoint, uploads = Checkpoint(), rig.storage.uploads  # type: ignore[attr-defined]
    first = process_large(params, rig.attempt(checkpoint))
    phases = checkpoint.phase
    rig.storage.delete(first.made["tile_0_1"].cogs[0].blob)
    uploads.clear()
    again: ProcessedTiles = process_large(params, rig.attempt(checkpoint))
    assert uploads == ["r0-c512"]
    assert again.made.keys() == first.made.keys() and checkpoint.phase == phases
    assert again.processing.tiles_skipped == len(first.made) - 1


def test_a_stop_after_a_remade_tile_loses_no_other(rig: RasterRig, params: LargeRasterParameters) -> None:
    checkpoint, uploads = Checkpoint(), rig.storage.uploads  # type: ignore[attr-defined]
    first = process_large(params, rig.attempt(checkpoint))
    for key in ("tile_0_0", "tile_1_1"):
        rig.storage.delete(first.made[key].cogs[0].blob)
    uploads.clear()
    for stop_after in range(100):
        try:
            process_large(params, rig.attempt(checkpoint, stop_after))
            break
        except Interrupted:
            continue
    assert set(uploads) == {"r0-c0", "r512-c512"}
