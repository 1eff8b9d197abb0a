"""Dry runs: what would come of a request is told, nothing is done, and a plan is submitted as it was or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pytest

from config import PlatformSettings
from core.contracts.storage import BlobName
from tests.support.api import Api, serve
from tests.support.raster import UTM, write_tiff

POINTS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": n, "n": i},
            "geometry": {"type": "Point", "coordinates": [30 + i, -2]},
        }
        for i, n in enumerate(("a", "b", "c"))
    ],
}
IDS = {"dataset_id": "Wells", "resource_id": "north", "version_id": "v1"}


@pytest.fixture
def wells(api: Api, tmp_path: Path) -> dict[str, str]:
    """A file of three points in the bronze zone."""
    upload(api, tmp_path, POINTS)
    return {"container_name": "bronze-vectors", "file_name": "wells.geojson"}


def upload(api: Api, folder: Path, document: dict) -> None:
    path = folder / "wells.geojson"
    path.write_text(json.dumps(document))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", "wells.geojson"))


def validate(api: Api, body: dict, by: str = "ann") -> dict:
    answer = api.of(by).post("/api/platform/validate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def submit(api: Api, body: dict, by: str = "ann", **query: object) -> httpx.Response:
    return api.of(by).post("/api/platform/submit", json=body, params=query)


def written(api: Api) -> tuple[int, ...]:
    """Rows that a submission makes."""
    names = ("api_requests", "jobs", "tasks", "queue", "job_events", "outbox")
    return tuple(api.query(f"SELECT count(*) FROM app.{name}")[0][0] for name in names)


def test_a_dry_run_tells_the_job_its_stages_outputs_and_what_is_in_the_file(api: Api, wells: dict) -> None:
    before = written(api)
    plan = submit(api, {**IDS, **wells}, dry_run=True)
    assert plan.status_code == 200, plan.text
    told = plan.json()
    assert (told["valid"], told["errors"], told["dry_run"]) == (True, [], True)
    assert (told["data_type"], told["job_type"]) == ("vector", "process_vector")
    assert told["routing"]
    assert (told["stages"][0]["stage"], told["stages"][0]["tasks"]) == (1, 1)
    [layer] = told["inspection"]["layers"]
    assert (layer["driver"], layer["feature_count"], layer["crs"]) == ("GeoJSON", 3, "EPSG:4326")
    [table] = layer["tables"]
    assert (table["name"], table["geometry_type"], table["srid"]) == ("wells_north_v1", "Point", 4326)
    assert {c["source_name"] for c in table["columns"]} == {"name", "n"}
    assert told["outputs"]["urls"]["ogc_features"]["items"].endswith("/collections/geo.wells_north_v1/items")
    [source] = told["sources"]
    assert source["size_bytes"] == len(json.dumps(POINTS))
    assert written(api) == before
    assert list((api.runtime.settings.app.home / "scratch").iterdir()) == []


def test_a_plan_is_submitted_as_it_was_told(api: Api, wells: dict) -> None:
    told = validate(api, {**IDS, **wells})
    answer = submit(api, {"plan_id": told["plan_id"]})
    assert answer.status_code == 202, answer.text
    assert answer.json()["job_type"] == told["job_type"]
    api.drain()
    status = api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")
    assert status["job_status"] == "completed", status["job_error"]
    assert status["data_access"] == told["outputs"]["urls"]
    assert api.query("SELECT count(*) FROM geo.wells_north_v1") == [(told["inspection"]["layers"][0]["feature_count"],)]
    again = submit(api, {"plan_id": told["plan_id"]})
    assert (again.status_code, again.json()["job_id"]) == (200, answer.json()["job_id"])


def test_a_dry_run_of_a_plan_runs_nothing_either(api: Api, wells: dict) -> None:
    plan = validate(api, {**IDS, **wells})["plan_id"]
    before = written(api)
    answer = submit(api, {"plan_id": plan}, dry_run=True)
    assert (answer.status_code, answer.json()["dry_run"], answer.json()["valid"]) == (200, True, True)
    assert written(api) == before
    assert submit(api, {"plan_id": answer.json()["plan_id"]}).status_code == 202
    assert submit(api, {"plan_id": plan}, by="bob", dry_run=True).status_code == 404


def test_a_plan_of_a_file_that_has_changed_since_is_refused(api: Api, wells: dict, tmp_path: Path) -> None:
    plan = validate(api, {**IDS, **wells})["plan_id"]
    upload(api, tmp_path, {**POINTS, "features": POINTS["features"][:2]})
    before = written(api)
    answer = submit(api, {"plan_id": plan})
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "wells.geojson has changed since plan" in answer.json()["error"]
    assert written(api) == before


def test_a_plan_that_is_unknown_expired_or_somebody_elses_is_404(api: Api, wells: dict) -> None:
    plan = validate(api, {**IDS, **wells})["plan_id"]
    assert submit(api, {"plan_id": plan}, by="bob").status_code == 404
    api.query(
        "UPDATE app.submit_plans SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'"
    )
    gone = submit(api, {"plan_id": plan})
    assert (gone.status_code, gone.json()["code"]) == (404, "NOT_FOUND")
    assert "another dry run" in gone.json()["hint"]
    assert submit(api, {"plan_id": "pln-" + "0" * 32}).status_code == 404
    assert submit(api, {"plan_id": "x"}).status_code == 400
    validate(api, {**IDS, **wells})
    assert api.query("SELECT count(*) FROM app.submit_plans") == [(1,)], "the expired one is dropped"


def test_a_file_that_its_job_would_refuse_is_refused_now_with_the_same_words(api: Api, tmp_path: Path) -> None:
    upload(api, tmp_path, {"type": "FeatureCollection", "features": []})
    body = {**IDS, "container_name": "bronze-vectors", "file_name": "wells.geojson"}
    told = validate(api, body)
    assert (told["valid"], told["plan_id"], told["file_exists"]) == (False, None, True)
    request = submit(api, body).json()["request_id"]
    api.drain()
    failed = api.get(f"/api/platform/status/{request}", caller="ann")["job_error"]
    assert told["errors"] == [failed]


def test_a_file_that_is_not_there_is_said_to_be_missing(api: Api) -> None:
    told = validate(api, {"container_name": "bronze-vectors", "blob_name": "none.geojson", "data_type": "vector"})
    assert (told["valid"], told["file_exists"], told["file_size_mb"]) == (False, False, None)
    assert told["errors"][0]["code"] == "SOURCE_NOT_FOUND"
    assert told["timestamp"]


def test_what_others_made_is_neither_looked_at_nor_submitted(api: Api) -> None:
    draft = json.dumps(POINTS).encode()
    for container in ("silver-vectors", "silverext-vectors", "gold-exports"):
        api.runtime.storage.put(draft, BlobName(container, "draft.geojson"))
        body = {**IDS, "container_name": container, "file_name": "draft.geojson"}
        told = validate(api, body)
        assert (told["valid"], told["file_exists"], told["inspection"]) == (False, False, {})
        refused = submit(api, body)
        assert (refused.status_code, "bronze-" in refused.json()["hint"]) == (400, True)
    assert api.query("SELECT count(*) FROM app.jobs") == [(0,)]


def test_the_short_form_looks_at_a_file_without_a_dataset(api: Api, wells: dict) -> None:
    told = validate(api, {"container_name": "bronze-vectors", "blob_name": "wells.geojson", "data_type": "vector"})
    assert (told["valid"], told["recommended_job_type"]) == (True, "process_vector")
    assert told["inspection"]["layers"][0]["feature_count"] == 3
    assert (told["plan_id"], told["outputs"], told["collisions"]) == (None, {}, [])
    wrong = validate(api, {"container_name": "bronze-vectors", "blob_name": "wells.geojson", "data_type": "raster"})
    assert (wrong["valid"], wrong["errors"][0]["code"]) == (False, "VALIDATION_ERROR")
    half = api.of("ann").post("/api/platform/validate", json={**wells, "dataset_id": "Wells"})
    assert half.status_code == 400
    assert "give dataset_id, resource_id and version_id, or none" in half.json()["error"]


def test_what_is_there_already_is_told_and_blocks_only_what_it_would_stop(
    api: Api, wells: dict, tmp_path: Path
) -> None:
    assert submit(api, {**IDS, **wells}).status_code == 202
    api.drain()
    same = validate(api, {**IDS, **wells})
    assert same["valid"] is True
    assert {(c["kind"], c["blocks"]) for c in same["collisions"]} == {
        ("request", False), ("table", False), ("stac_item", False),
    }  # fmt: skip
    upload(api, tmp_path, {**POINTS, "features": POINTS["features"][:2]})
    changed = validate(api, {**IDS, **wells})
    assert (changed["valid"], changed["errors"][0]["code"]) == (False, "CONFLICT")
    assert submit(api, {**IDS, **wells}).status_code == 409
    overwriting = {"processing_options": {"overwrite": True}}
    replaced = validate(api, {**IDS, **wells, **overwriting})
    assert replaced["valid"] is True
    assert any("would be replaced" in w for w in replaced["warnings"])


def test_the_estimate_comes_from_jobs_that_ran(api: Api, wells: dict) -> None:
    first = validate(api, {**IDS, **wells})["estimate"]
    assert first["runs"] == 0
    submit(api, {**IDS, **wells})
    api.drain()
    api.query("UPDATE app.jobs SET created_at = now() - interval '1 hour', started_at = now() - interval '1 hour',"
              " finished_at = now() - interval '1 hour' + interval '90 seconds'")  # fmt: skip
    then = validate(api, {**IDS, "version_id": "v2", **wells})
    assert then["estimate"] == {"seconds": 90.0, "runs": 1}
    assert then["estimated_minutes"] == 1.5


def test_a_source_beyond_the_preview_limit_is_planned_unopened(
    api: Api, wells: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.runtime.planner._look._limit_mb = 0
    told = validate(api, {**IDS, **wells})
    assert (told["valid"], told["inspection"]) == (True, {})
    assert told["findings"][0]["code"] == "not_opened"
    assert told["plan_id"]


def test_an_option_that_is_not_known_is_refused_with_the_nearest_one(api: Api, wells: dict) -> None:
    answer = submit(api, {**IDS, **wells, "processing_options": {"overwritte": True}})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "processing_options: " in answer.json()["error"]
    assert "'overwritte' is not known here; did you mean 'overwrite'?" in answer.json()["error"]
    assert (
        "'datset_id' is not known here; did you mean 'dataset_id'?" in submit(api, {"datset_id": "x"}).json()["error"]
    )


def test_a_raster_that_is_too_large_here_or_for_an_unknown_crs_is_refused_as_by_its_job(
    db: str, tmp_path: Path
) -> None:
    limits = PlatformSettings(RASTER_MAX_PIXELS=1000)
    with serve(db, tmp_path, platform=limits) as api:
        for name, side, options in (("large.tif", 40, {}), ("small.tif", 20, {"target_crs": "EPSG:999999"})):
            path = write_tiff(tmp_path / name, np.ones((side, side), np.uint8), transform=UTM)
            api.runtime.storage.upload(path, BlobName("bronze-rasters", name))
            body = {**IDS, "resource_id": name, "container_name": "bronze-rasters", "file_name": name}
            body["processing_options"] = options
            told = validate(api, body)
            request = submit(api, body).json()["request_id"]
            api.drain()
            failed = api.get(f"/api/platform/status/{request}", caller="ann")["job_error"]
            assert (told["valid"], told["errors"]) == (False, [failed])


def test_a_raster_is_described_from_its_header(api: Api, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).normal(100, 5, (64, 80)).astype("float32")
    path = write_tiff(tmp_path / "hills.tif", pixels, transform=UTM)
    api.runtime.storage.upload(path, BlobName("bronze-rasters", "hills.tif"))
    told = validate(api, {**IDS, "container_name": "bronze-rasters", "file_name": "hills.tif"})
    assert told["valid"] is True, told["errors"]
    [facts] = told["inspection"]["files"]
    assert (facts["driver"], facts["width"], facts["height"]) == ("GTiff", 80, 64)
    assert facts["crs"] == "EPSG:32735"
    assert [b["dtype"] for b in facts["bands"]] == ["float32"]
    assert told["outputs"]["urls"]["titiler"]["preview"].endswith("/preview.png")
