"""Vectors over the partner's API: where they are processed, how files join tables, and one decision for many tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from geopandas import GeoDataFrame
from httpx import Response
from shapely import LineString, Point, box

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.vector import geojson, point

Submit = Callable[..., Response]
LINE = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}


@pytest.fixture
def submit(api: Api) -> Submit:
    def send(path: Path, *, upload: bool = True, **options: object) -> Response:
        if upload:
            api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
        body = {
            "dataset_id": "wells",
            "resource_id": "r",
            "version_id": "v1",
            "container_name": "bronze-vectors",
            "file_name": path.name,
            "title": "Wells",
            "processing_options": options,
        }
        return api.of("ann").post("/api/platform/submit", json=body)

    return send


def finished(api: Api, answer: Response) -> dict:
    assert answer.status_code == 202, answer.text
    api.drain()
    return api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")


def completed(api: Api, answer: Response) -> dict:
    status = finished(api, answer)
    assert status["job_status"] == "completed", status["job_error"]
    return status


def test_a_small_file_goes_the_way_of_a_function_app_and_whoever_asks_for_the_worker_gets_it(api, submit, tmp_path):
    path = geojson(tmp_path, (point(), {"a": 1}))
    status = completed(api, submit(path))
    assert status["job_type"] == "process_vector" and "at most VECTOR_ROUTE_DOCKER_MB=500" in status["routing"]
    status = completed(api, submit(path, overwrite=True, processing_mode="docker"))
    assert status["job_type"] == "process_vector_docker" and status["task_summary"]["total"] == 1
    assert api.query("SELECT a FROM geo.wells_r_v1") == [(1,)]


def test_files_are_appended_once_each_however_often_they_are_sent(api, submit, tmp_path):
    completed(api, submit(geojson(tmp_path, (point(), {"a": 1}), name="one.geojson")))
    two = geojson(tmp_path, (point(), {"a": 2}), name="two.geojson")
    completed(api, submit(two, write_mode="append"))
    again = submit(two, upload=False, write_mode="append")
    assert (again.status_code, again.json()["job_status"]) == (200, "completed")
    geojson(tmp_path, (point(), {"a": 3}), name="two.geojson")
    status = completed(api, submit(two, write_mode="append"))
    assert api.query("SELECT a FROM geo.wells_r_v1 ORDER BY id") == [(1,), (2,), (3,)]
    assert status["job_result"]["tables"][0]["row_count"] == 3


def test_a_file_that_does_not_fit_fails_its_job_and_can_be_sent_again_mended(api, submit, tmp_path):
    completed(api, submit(geojson(tmp_path, (point(), {"a": 1}), name="one.geojson")))
    two = geojson(tmp_path, (point(), {"b": 2}), name="two.geojson")
    status = finished(api, submit(two, write_mode="append"))
    assert status["job_error"]["code"] == "SCHEMA_MISMATCH"
    assert (
        "the file lacks a" in status["job_error"]["message"] and "the table lacks b" in status["job_error"]["message"]
    )
    completed(api, submit(two, upload=False, write_mode="append", column_mapping={"b": "a"}))
    assert api.query("SELECT a FROM geo.wells_r_v1 ORDER BY id") == [(1,), (2,)]


def test_rows_that_join_an_approved_table_wait_for_a_decision_of_their_own(api, submit, tmp_path):
    first = completed(api, submit(geojson(tmp_path, (point(), {"a": 1}), name="one.geojson")))
    approve(api, first)
    second = completed(api, submit(geojson(tmp_path, (point(), {"a": 2}), name="two.geojson"), write_mode="append"))
    assert api.query("SELECT a FROM geo.wells_r_v1") == [(1,)]
    approve(api, second)
    assert api.query("SELECT a FROM geo.wells_r_v1 ORDER BY id") == [(1,), (2,)]
    assert api.query("SELECT published, feature_count FROM geo.table_catalog") == [(True, 2)]
    assert api.query(
        "SELECT p -> 'app:published', p -> 'postgis:row_count'"
        " FROM (SELECT content -> 'properties' AS p FROM pgstac.items) i"
    ) == [(True, 2)]


def approve(api: Api, status: dict) -> None:
    answer = api.of("rex").post(f"/api/approvals/{status['approval']['approval_id']}/approve")
    assert answer.status_code == 200, answer.text


def test_a_table_that_the_public_sees_is_not_removed_by_a_file_that_makes_another(api, submit, tmp_path):
    split = {"geometry_params": {"mixed": "split"}}
    first = completed(api, submit(geojson(tmp_path, (point(5, 5), {"a": 1}), (LINE, {"a": 2})), **split))
    approve(api, first)
    completed(api, submit(geojson(tmp_path, (point(5, 5), {"a": 3})), overwrite=True, **split))
    assert api.query("SELECT table_name, published FROM geo.table_catalog ORDER BY 1") == [
        ("wells_r_v1", False),
        ("wells_r_v1_lines", True),
        ("wells_r_v1_points", True),
    ]


def test_unlike_geometries_become_tables_that_one_decision_publishes(api, submit, tmp_path):
    features = (point(5, 5), {"a": 1}), (LINE, {"a": 2}), (point(6, 6), {"a": 3}), (None, {"a": 4})
    status = completed(api, submit(geojson(tmp_path, *features), geometry_params={"mixed": "split"}))
    result = status["job_result"]
    assert [(t["table_name"], t["geometry_type"], t["row_count"]) for t in result["tables"]] == [
        ("wells_r_v1_points", "Point", 2),
        ("wells_r_v1_lines", "MultiLineString", 1),
    ]
    assert result["bbox"] == [0, 0, 6, 6] and result["summary"]["rows_skipped"] == 1
    # An id says where a feature is in the file, whichever table holds it.
    assert api.query("SELECT id, a FROM geo.wells_r_v1_points ORDER BY id") == [(1, 1), (3, 3)]
    assert api.query("SELECT id, a FROM geo.wells_r_v1_lines") == [(2, 2)]
    assert api.query("SELECT table_name, title FROM geo.table_catalog ORDER BY 1") == [
        ("wells_r_v1_lines", "Wells (lines)"),
        ("wells_r_v1_points", "Wells (points)"),
    ]
    assert api.query("SELECT count(*) FROM app.dataset_approvals") == [(1,)]
    assert api.of("rex").post(f"/api/approvals/{status['approval']['approval_id']}/approve").status_code == 200
    assert api.query("SELECT bool_and(published) FROM geo.table_catalog") == [(True,)]
    assert api.query("SELECT bool_and((content -> 'properties' -> 'app:published')::boolean) FROM pgstac.items") == [
        (True,)
    ]


def test_every_layer_becomes_a_table_and_a_changed_set_of_tables_leaves_none_behind(api, submit, tmp_path):
    path = tmp_path / "two.gpkg"
    GeoDataFrame({"a": [1]}, geometry=[Point(1, 2)], crs=4326).to_file(path, layer="Wells", driver="GPKG")
    GeoDataFrame({"b": [2]}, geometry=[LineString([(0, 0), (1, 1)])], crs=4326).to_file(
        path, layer="Pipes", driver="GPKG"
    )
    status = completed(api, submit(path, all_layers=True))
    assert {t["table_name"]: t["row_count"] for t in status["job_result"]["tables"]} == {
        "wells_r_v1_wells": 1,
        "wells_r_v1_pipes": 1,
    }
    path.unlink()
    GeoDataFrame({"c": [3]}, geometry=[box(0, 0, 1, 1)], crs=4326).to_file(path, layer="Wells", driver="GPKG")
    completed(api, submit(path, overwrite=True))
    assert api.query("SELECT table_name FROM geo.table_catalog") == [("wells_r_v1",)]
    assert api.query("SELECT id FROM pgstac.items") == [("postgis-geo-wells_r_v1",)]
    assert api.query("SELECT relname FROM pg_class WHERE relname LIKE 'wells%%' AND relkind = 'r'") == [("wells_r_v1",)]
