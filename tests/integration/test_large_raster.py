"""A raster cut into tiles: every pixel once, each tile a COG and an item, one collection and one review."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from psycopg_pool import ConnectionPool
from rio_cogeo.cogeo import cog_validate

from core.contracts.storage import BlobName
from core.machine.machine import CoreMachine
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.storage.local import LocalStorage
from tests.support.api import Api
from tests.support.probe import Silent, no_resources
from tests.support.raster import UTM, write_tiff
from tests.support.raster_crash import REGISTRY
from tests.support.workers import Workplace

pytestmark = pytest.mark.timeout(400)
PIXELS = np.random.default_rng(3).integers(1, 4000, (2, 1100, 1300), dtype=np.uint16)
GIVEN = {
    "container_name": "bronze-rasters",
    "blob_name": "large.tif",
    "collection_id": "large",
    "item_id": "scene",
    "access_level": "public",
    "tile_size": 512,
}


def run(api: Api, tmp_path: Path, job_type: str, **more: object) -> dict:
    path = write_tiff(tmp_path / "large.tif", PIXELS, nodata=0, tiled=True, blockxsize=256, blockysize=256)
    api.runtime.storage.upload(path, BlobName("bronze-rasters", "large.tif"))
    job = api.submit(job_type, by="ada", **{**GIVEN, **more})
    api.drain()
    status = api.get(f"/api/jobs/status/{job}")
    assert status["status"] == "completed", status["errorDetails"]
    return status["resultData"]


@pytest.mark.parametrize("job_type", ["process_large_raster_v2", "process_large_raster_docker"])
def test_the_tiles_together_are_the_source_bit_by_bit(api: Api, tmp_path: Path, job_type: str) -> None:
    result = run(api, tmp_path, job_type)
    assert result["tiling"] == {
        "width": 1300, "height": 1100, "tile_size": 512, "overlap": 0, "rows": 3, "columns": 3, "tile_count": 9
    }  # fmt: skip
    joined = np.zeros_like(PIXELS)
    for tile in result["tiles"]:
        window = tile["window"]
        assert window["column"] % 512 == window["row"] % 512 == 0
        path = api.runtime.storage.gdal_path(BlobName(tile["cog_container"], tile["cog_blob"]))
        assert cog_validate(path, strict=True, quiet=True)[0]
        with rasterio.open(path) as cog:
            top, left = window["row"], window["column"]
            joined[:, top : top + cog.height, left : left + cog.width] += cog.read()
            assert cog.transform == UTM * UTM.translation(left, top)
            assert cog.nodata == 0
    np.testing.assert_array_equal(joined, PIXELS)


def test_tiles_are_items_of_one_collection_with_statistics_of_their_own(api: Api, tmp_path: Path) -> None:
    result = run(api, tmp_path, "process_large_raster_v2", title="A large scene")
    rows = api.query("SELECT id, content FROM pgstac.items ORDER BY id")
    assert [row[0] for row in rows] == [f"scene-tile-{r}-{c}" for r in range(3) for c in range(3)]
    last = rows[-1][1]["assets"]["data"]["raster:bands"][0]["statistics"]
    corner = PIXELS[0, 1024:, 1024:]
    assert (last["minimum"], last["maximum"]) == (corner.min(), corner.max())
    assert last["mean"] == pytest.approx(corner.mean(), rel=1e-6)
    [(made,)] = api.query("SELECT content FROM pgstac.collections")
    assert made["title"] == "A large scene"
    assert made["summaries"]["mosaic:search_id"] == [result["stac"]["search_id"]]
    document = json.loads(api.runtime.storage.read(BlobName("silver-cogs", result["mosaicjson"]["blob_path"])))
    assert len({href for hrefs in document["tiles"].values() for href in hrefs}) == 9
    [approval] = api.get("/api/approvals")["approvals"]
    assert (approval["stac_collection_id"], approval["item_count"], approval["status"]) == ("large", 9, "pending")


def test_without_a_mosaicjson_when_none_is_wanted(api: Api, tmp_path: Path) -> None:
    assert run(api, tmp_path, "process_large_raster_v2", create_mosaicjson=False)["mosaicjson"] is None
    assert "mosaicjson" not in api.query("SELECT content FROM pgstac.collections")[0][0].get("assets", {})


def test_with_an_overlap_neighbours_share_it(api: Api, tmp_path: Path) -> None:
    result = run(api, tmp_path, "process_large_raster_v2", overlap=64)
    widths = {tile["key"]: (tile["window"]["width"], tile["window"]["height"]) for tile in result["tiles"]}
    assert widths["tile_0_0"] == (576, 576) and widths["tile_2_2"] == (276, 76)


def test_reprojected_tiles_lie_on_one_grid(api: Api, tmp_path: Path) -> None:
    result = run(api, tmp_path, "process_large_raster_v2", target_crs="EPSG:4326")
    grids = []
    for tile in result["tiles"]:
        with rasterio.open(api.runtime.storage.gdal_path(BlobName(tile["cog_container"], tile["cog_blob"]))) as cog:
            assert cog.crs.to_epsg() == 4326
            grids.append((cog.transform, tile["window"]))
    (first, _), *others = grids
    for transform, window in others:
        assert transform.a == pytest.approx(first.a) and transform.e == pytest.approx(first.e)
        assert (transform.c - first.c) / first.a == pytest.approx(window["column"], abs=1e-6)
        assert (transform.f - first.f) / first.e == pytest.approx(window["row"], abs=1e-6)


@pytest.mark.parametrize("wrong", [{"tile_size": 500}, {"tile_size": 256}, {"overlap": 513}, {"tile_size": 21000}])
def test_tiles_that_would_cut_blocks_are_refused(api: Api, wrong: dict) -> None:
    answer = api.of("ada").post("/api/jobs/submit/process_large_raster_v2", json={**GIVEN, **wrong})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


def test_a_killed_worker_makes_no_finished_tile_again(db: str, tmp_path: Path) -> None:
    place = Workplace(db, tmp_path, "tests.support.raster_crash")
    path = write_tiff(tmp_path / "large.tif", PIXELS, nodata=0)
    storage = LocalStorage(tmp_path / "storage")
    storage.upload(path, BlobName("bronze-rasters", "large.tif"))
    with ConnectionPool(db, kwargs={"autocommit": True}, min_size=1, max_size=1, open=True) as pool:
        machine = CoreMachine(REGISTRY, PostgresJobStore(pool), no_resources, worker="submitter", log=Silent())
        parameters = {**GIVEN, "title": "checkpoint 4"}
        job_id = machine.submit("process_large_raster_docker", parameters).job_id
    with place.worker():
        job = place.ended(job_id)
    assert job["status"] == "completed", job["error_message"]
    assert job["result"]["processing"] | {"total_seconds": 0} == {
        "mode": "docker_tiles", "total_seconds": 0, "resumed": True, "resumed_from_phase": 4, "tiles_skipped": 3
    }  # fmt: skip
    asked = "event_type = 'checkpoint' AND task_index IS NOT NULL"  # of the task, not of the job
    saved = place.query(f"SELECT checkpoint_name FROM app.job_events WHERE {asked} ORDER BY event_id")
    assert [row["checkpoint_name"] for row in saved] == [f"phase {number}" for number in range(1, 11)]
    assert sum(blob.name.suffix == ".tif" for blob in storage.list("silver-cogs")) == 9
