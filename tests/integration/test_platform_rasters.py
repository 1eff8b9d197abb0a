"""Rasters over the partner's API: where they are processed, and how they join a collection that exists."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff


@pytest.fixture
def submit(api: Api, tmp_path: Path):
    def send(name: str, route: str = "submit", *, east: float = 0.0, upload: bool = True, **more: object):
        pixels = np.random.default_rng(len(name)).integers(1, 200, (90, 80), dtype=np.uint8)
        transform = UTM * UTM.translation(east, 0)
        path = write_tiff(tmp_path / f"{name}.tif", pixels, transform=transform, nodata=0)
        if upload:
            api.runtime.storage.upload(path, BlobName("bronze-rasters", f"{name}.tif"))
        body = {
            "dataset_id": "Hills",
            "resource_id": name,
            "version_id": "v1",
            "container_name": "bronze-rasters",
            "file_name": f"{name}.tif",
            **more,
        }
        return api.of("ann").post(f"/api/platform/{route}", json=body)

    return send


def finished(api: Api, answer) -> dict:
    assert answer.status_code == 202, answer.text
    api.drain()
    return api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")


def test_a_small_raster_goes_the_way_of_a_function_app_and_the_status_says_why(api: Api, submit) -> None:
    answer = submit("a")
    assert answer.json()["job_type"] == "process_raster_v2"
    status = finished(api, answer)
    assert status["job_status"] == "completed", status["job_error"]
    assert status["routing"] == answer.json()["routing"]
    assert "at most RASTER_ROUTE_DOCKER_MB=2000: small enough for a Function App" in status["routing"]
    assert submit("a", upload=False).json()["routing"] == status["routing"]


def test_an_archive_is_taken_for_what_it_holds(api: Api, tmp_path: Path) -> None:
    picture = write_tiff(tmp_path / "in.tif", np.ones((20, 20), np.uint8))
    for name, members, kind in (
        ("raster", {"deep/in.tif": picture.read_bytes(), "deep/view.png": b"", "readme.txt": b""}, "process_raster_v2"),
        ("features", {"roads.shp": b"", "roads.dbf": b"", "legend.tif": picture.read_bytes()}, "process_vector"),
        ("neither", {"readme.txt": b"nothing"}, "process_vector"),
    ):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        api.runtime.storage.upload(tmp_path / f"{name}.zip", BlobName("bronze-rasters", f"{name}.zip"))
        ids = {"dataset_id": "zips", "resource_id": name, "version_id": "v1"}
        body = {**ids, "container_name": "bronze-rasters", "file_name": f"{name}.zip"}
        answer = api.of("ann").post("/api/platform/submit", json=body)
        assert (answer.status_code, answer.json()["job_type"]) == (202, kind)
    api.drain()
    statuses = api.query("SELECT job_type, status::text FROM app.jobs WHERE job_type = 'process_raster_v2'")
    assert statuses == [("process_raster_v2", "completed")]


def test_whoever_asks_for_the_worker_gets_it(api: Api, submit) -> None:
    status = finished(api, submit("a", processing_options={"processing_mode": "docker"}))
    assert (status["job_type"], status["job_status"]) == ("process_raster_docker", "completed"), status["job_error"]
    assert status["routing"].startswith("processing_mode=docker was asked for")
    assert status["approval"]["status"] == "pending"
    assert "preview" in status["data_access"]["titiler"]


def test_adding_to_a_collection_that_is_not_there_is_a_404_that_names_it(api: Api, submit) -> None:
    answer = submit("a", "raster/add-to-collection", collection_id="nowhere")
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND" and "'nowhere'" in answer.json()["error"]
    assert api.query("SELECT count(*) FROM app.api_requests") == [(0,)]


def test_a_raster_joins_an_existing_collection_and_widens_it(api: Api, submit) -> None:
    finished(api, submit("a"))
    [(before,)] = api.query("SELECT content -> 'extent' -> 'spatial' -> 'bbox' -> 0 FROM pgstac.collections")
    status = finished(api, submit("b", "raster/add-to-collection", east=4000.0, collection_id="hills"))
    assert status["job_status"] == "completed", status["job_error"]
    [(after,)] = api.query("SELECT content -> 'extent' -> 'spatial' -> 'bbox' -> 0 FROM pgstac.collections")
    assert after[2] > before[2] + 0.3 and after[0] == before[0]
    assert api.query("SELECT id FROM pgstac.items ORDER BY id") == [("hills-a-v1",), ("hills-b-v1",)]


@pytest.mark.parametrize("options", [{"collection_must_exist": False}, {"collection_id": "other"}])
def test_options_that_contradict_the_route_are_refused(submit, options: dict) -> None:
    answer = submit("a", "raster/add-to-collection", collection_id="hills", processing_options=options)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("job_type", ["process_raster_v2", "process_raster_docker"])
def test_a_job_that_must_extend_fails_before_any_pixel_is_read(api: Api, submit, job_type: str) -> None:
    submit("a")
    given = {"container_name": "bronze-rasters", "blob_name": "a.tif", "collection_id": "nowhere"}
    job = api.submit(job_type, by="ada", **given, access_level="ouo", collection_must_exist=True)
    api.drain()
    status = api.get(f"/api/jobs/status/{job}")
    assert status["status"] == "failed"
    assert status["errorDetails"]["code"] == "NOT_FOUND" and "'nowhere'" in status["errorDetails"]["message"]
    assert status["taskSummary"]["total"] == 1


@pytest.mark.parametrize(
    ("files", "options", "says"),
    [
        (["a.tif"], {"create_mosaicjson": True}, "create_mosaicjson does not apply to raster data of one file"),
        (["a.tif", "b.tif"], {"processing_mode": "docker"}, "processing_mode does not apply to raster data of several"),
        (["a.tif", "b.csv"], {}, "data of different types"),
    ],
)
def test_what_does_not_go_with_the_number_of_files_is_refused(api: Api, files: list, options: dict, says: str) -> None:
    body = {"dataset_id": "d", "resource_id": "r", "version_id": "v", "container_name": "bronze-rasters"}
    answer = api.of("ann").post(
        "/api/platform/submit", json={**body, "file_name": files, "processing_options": options}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert says in answer.json()["error"]
