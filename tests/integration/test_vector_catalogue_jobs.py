"""unpublish_vector and stac_catalog_vectors: what leaves the catalogue, what enters it, what a dry run leaves alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.contracts.outcomes import Outcome
from core.contracts.storage import BlobName
from core.machine.store import Claimed
from tests.support.api import Api
from tests.support.stac_rules import problems
from tests.support.vector import geojson, point

EVERYTHING = """
    SELECT (SELECT count(*) FROM geo.table_catalog), (SELECT count(*) FROM geo.feature_collection_styles),
           (SELECT count(*) FROM app.vector_etl_tracking), (SELECT count(*) FROM app.dataset_refs),
           (SELECT count(*) FROM pgstac.items),
           (SELECT count(*) FROM pg_class WHERE relnamespace = 'geo'::regnamespace AND relkind IN ('r', 'm')) - 2
"""


@pytest.fixture
def table(api: Api, tmp_path: Path) -> dict:
    """The status of a finished request that made geo.wells_r_v1 with a tile view."""
    path = geojson(tmp_path, (point(1, 2), {"kind": "a"}), (point(3, 4), {"kind": "b"}))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    body = {
        "dataset_id": "wells",
        "resource_id": "r",
        "version_id": "v1",
        "container_name": "bronze-vectors",
        "file_name": path.name,
        "processing_options": {"create_tile_view": True},
    }
    request = api.of("ann").post("/api/platform/submit", json=body).json()["request_id"]
    api.drain()
    status = api.get(f"/api/platform/status/{request}")
    assert status["job_status"] == "completed", status["job_error"]
    assert api.query(EVERYTHING) == [(1, 1, 1, 1, 1, 2)]
    return status


def run(api: Api, job_type: str, **parameters: object) -> dict:
    """Submit a job, run it, and its status."""
    answer = api.of("ada").post(f"/api/jobs/submit/{job_type}", json=parameters)
    assert answer.status_code == 202, answer.text
    api.drain()
    status = api.get(f"/api/jobs/status/{answer.json()['job_id']}")
    return {"status": status["status"], "result_data": status["resultData"], "error_details": status["errorDetails"]}


def test_a_dry_run_says_what_there_is_and_changes_nothing(api: Api, table: dict) -> None:
    before = api.query("SELECT count(*) FROM app.api_requests"), api.query(EVERYTHING)
    status = run(api, "unpublish_vector", table_name="wells_r_v1")
    result = status["result_data"]
    assert (result["dry_run"], result["removed"]) == (True, False)
    assert result["table"] == {
        "table_name": "wells_r_v1",
        "exists": True,
        "catalogued": True,
        "row_count": 2,
        "published": False,
        "stac_collection_id": "system-vectors",
        "stac_item_id": "postgis-geo-wells_r_v1",
        "item_exists": True,
        "tile_view": "wells_r_v1_tiles",
        "styles": ["default"],
        "runs": 1,
        "dataset_refs": 1,
    }
    assert (api.query("SELECT count(*) FROM app.api_requests"), api.query(EVERYTHING)) == before


def test_nothing_is_left_of_an_unpublished_table_not_even_an_open_review(api: Api, table: dict) -> None:
    status = run(api, "unpublish_vector", table_name="wells_r_v1", dry_run=False)
    assert status["result_data"]["removed"] is True
    assert api.query(EVERYTHING) == [(0, 0, 0, 0, 0, 0)]
    assert api.query("SELECT count(*) FROM app.dataset_approvals") == [(0,)]


def test_what_the_public_sees_stays_unless_forced_and_then_its_review_is_revoked(api: Api, table: dict) -> None:
    assert api.of("rex").post(f"/api/approvals/{table['approval']['approval_id']}/approve").status_code == 200
    status = run(api, "unpublish_vector", table_name="wells_r_v1", dry_run=False)
    assert status["status"] == "failed" and status["error_details"]["code"] == "CONFLICT"
    assert api.query(EVERYTHING) == [(1, 1, 1, 1, 1, 2)]
    status = run(api, "unpublish_vector", table_name="wells_r_v1", dry_run=False, force_approved=True)
    assert status["status"] == "completed" and api.query(EVERYTHING) == [(0, 0, 0, 0, 0, 0)]
    [(decision, reason)] = api.query("SELECT status::text, revocation_reason FROM app.dataset_approvals")
    assert (decision, reason) == ("revoked", "The table was unpublished.")


def test_a_table_published_again_can_be_unpublished_again(api: Api, table: dict) -> None:
    run(api, "unpublish_vector", table_name="wells_r_v1", dry_run=False)
    again = {**table_request(), "processing_options": {"overwrite": True}}
    assert api.of("ann").post("/api/platform/submit", json=again).status_code == 202
    api.drain()
    assert api.query("SELECT count(*) FROM geo.wells_r_v1") == [(2,)]
    status = run(api, "unpublish_vector", table_name="wells_r_v1", dry_run=False)
    assert status["result_data"]["removed"] is True and api.query(EVERYTHING) == [(0, 0, 0, 0, 0, 0)]


def table_request() -> dict:
    ids = {"dataset_id": "wells", "resource_id": "r", "version_id": "v1"}
    return {**ids, "container_name": "bronze-vectors", "file_name": "f.geojson"}


def test_a_table_that_is_not_there_is_not_found(api: Api) -> None:
    status = run(api, "unpublish_vector", table_name="nowhere")
    assert status["error_details"]["code"] == "NOT_FOUND" and "geo.nowhere" in status["error_details"]["message"]


def test_a_table_that_a_view_uses_is_kept_whole(api: Api, table: dict) -> None:
    api.query("CREATE VIEW geo.seen AS SELECT kind FROM geo.wells_r_v1")
    status = run(api, "unpublish_vector", table_name="wells_r_v1", dry_run=False)
    assert status["error_details"]["code"] == "CONFLICT"
    assert api.query(EVERYTHING) == [(1, 1, 1, 1, 1, 2)]


def foreign_tables(api: Api) -> None:
    """Two tables that somebody else made, and one without a typed geometry."""
    api.query("CREATE TABLE geo.parks (gid int PRIMARY KEY, kind text, geom geometry(Point, 4326) NOT NULL)")
    api.query(
        "INSERT INTO geo.parks SELECT n, 'k' || n %% 3, st_setsrid(st_point(n, -n), 4326) FROM generate_series(1, 9) n"
    )

    api.query("CREATE TABLE geo.lakes (id bigint PRIMARY KEY, area float8, geom geometry(Polygon, 3857))")
    api.query(
        "INSERT INTO geo.lakes SELECT n, n / 7.0, st_setsrid(st_expand(st_point(0, 0), n * 1000), 3857)"
        " FROM generate_series(1, 50) n"
    )
    api.query("CREATE TABLE geo.sketch (geom geometry)")


def test_a_dry_run_lists_tables_without_items_and_changes_nothing(api: Api, table: dict) -> None:
    foreign_tables(api)
    before = api.query(EVERYTHING)
    result = run(api, "stac_catalog_vectors", access_level="ouo")["result_data"]
    assert (result["tables"], result["catalogued"]) == (["lakes", "parks"], [])
    assert result["refused"] == [["sketch", "it has no column geom of a geometry type with a CRS"]]
    assert api.query(EVERYTHING) == before


def test_tables_of_others_get_rows_styles_items_and_one_review(api: Api, table: dict) -> None:
    foreign_tables(api)
    status = run(api, "stac_catalog_vectors", access_level="ouo", dry_run=False)
    assert status["status"] == "completed", status["error_details"]
    assert {c["table_name"]: c["row_count"] for c in status["result_data"]["catalogued"]} == {"lakes": 50, "parks": 9}
    assert api.query(
        "SELECT table_name, primary_key, geometry_type, srid, published, round(bbox_maxx::numeric, 3)::text"
        " FROM geo.table_catalog WHERE table_name <> 'wells_r_v1' ORDER BY 1"
    ) == [("lakes", "id", "Polygon", 3857, False, "0.449"), ("parks", "gid", "Point", 4326, False, "9.000")]
    [(item,)] = api.query("SELECT pgstac.get_item('postgis-geo-parks', 'system-vectors')")
    assert item["properties"]["app:published"] is False and item["properties"]["platform:access_level"] == "ouo"
    assert [c["name"] for c in item["properties"]["table:columns"]] == ["gid", "kind", "geom"]
    served = {**item, "links": [{"rel": "collection", "href": "https://example.org/c"}]}
    assert problems(served) == []
    assert item["properties"]["postgis:row_count"] == 9 and item["bbox"] == [1, -9, 9, -1]
    assert [
        len(s["stylingRules"])
        for (s,) in api.query("SELECT style_spec FROM geo.feature_collection_styles WHERE collection_id = 'parks'")
    ] == [4]
    [(approval, items)] = api.query(
        "SELECT approval_id, item_count FROM app.dataset_approvals WHERE job_type = 'stac_catalog_vectors'"
    )
    assert items == 2
    assert api.of("rex").post(f"/api/approvals/{approval}/approve").status_code == 200
    assert api.query("SELECT table_name FROM geo.table_catalog WHERE published ORDER BY 1") == [("lakes",), ("parks",)]
    assert run(api, "stac_catalog_vectors", access_level="ouo", dry_run=False)["result_data"]["tables"] == []


def test_a_table_whose_name_no_request_could_have_is_refused_by_name(api: Api) -> None:
    for name in ("Big Parks", "parks", "ponds__stg", "table_catalogue", "ähre"):
        api.query(f'CREATE TABLE geo."{name}" (id bigint PRIMARY KEY, geom geometry(Point, 4326))')
        api.query(f'INSERT INTO geo."{name}" VALUES (1, st_setsrid(st_point(1, 2), 4326))')
    status = run(api, "stac_catalog_vectors", access_level="ouo", dry_run=False)
    assert status["status"] == "completed", status["error_details"]
    result = status["result_data"]
    assert result["tables"] == ["parks", "ponds__stg", "table_catalogue"]
    letters = "its name must be 1 to 63 lower-case letters, digits and underscores, not starting with a digit"
    assert sorted(result["refused"]) == [["Big Parks", letters], ["ähre", letters]]


def extracted(api: Api) -> tuple[Claimed, Outcome]:
    """The task that describes geo.parks, its handler done and nothing written."""
    parameters = {"access_level": "ouo", "table_names": ["parks"], "dry_run": False}
    assert api.of("ada").post("/api/jobs/submit/stac_catalog_vectors", json=parameters).status_code == 202
    machine, claimed = api.runtime.machine, api.claim()
    while claimed[0].task_type != "vector_extract_stac_metadata":
        machine.process(claimed[0])
        claimed = api.claim()
    return claimed[0], machine.run(claimed[0], threading.Event())


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("DROP TABLE geo.parks", []),
        ("INSERT INTO geo.table_catalog (table_name, title) VALUES ('parks', 'By hand')", [("By hand",)]),
    ],
)
def test_a_table_that_changed_while_it_was_described_is_looked_at_again(api: Api, change: str, rows: list) -> None:
    foreign_tables(api)
    task, outcome = extracted(api)
    api.query(change)
    api.runtime.machine.settle(task, outcome, 1)
    api.drain()
    assert api.query("SELECT title FROM geo.table_catalog") == rows
    [(status, code)] = api.query("SELECT status::text, error_code FROM app.jobs")
    assert (status, code) == (("completed", None) if rows else ("failed", "NOT_FOUND"))


def described_again(api: Api) -> str:
    """geo.parks, whose published item outlived its catalogue row, is described again: the review of that."""
    foreign_tables(api)
    run(api, "stac_catalog_vectors", access_level="ouo", dry_run=False, table_names=["parks"])
    [(first,)] = api.query("SELECT approval_id FROM app.dataset_approvals")
    assert api.of("rex").post(f"/api/approvals/{first}/approve").status_code == 200
    api.query("DELETE FROM geo.table_catalog")
    parameters = {"access_level": "ouo", "table_names": ["parks"], "dry_run": False, "license": "CC-BY-4.0"}
    status = run(api, "stac_catalog_vectors", **parameters)
    assert status["status"] == "completed", status["error_details"]
    [(second,)] = api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
    return second


def test_the_description_of_a_table_waits_as_a_draft_where_its_item_is_published(api: Api) -> None:
    second = described_again(api)
    assert api.query("SELECT count(*) FROM geo.table_catalog") == [(0,)]
    assert api.of("rex").post(f"/api/approvals/{second}/approve").status_code == 200
    assert api.query("SELECT table_name, published, license FROM geo.table_catalog") == [("parks", True, "CC-BY-4.0")]


def test_a_waiting_description_of_a_table_that_changed_is_not_put_in_place(api: Api) -> None:
    second = described_again(api)
    api.query("DROP TABLE geo.parks")
    answer = api.of("rex").post(f"/api/approvals/{second}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "APPROVAL_FAILED"), answer.text
    assert api.query("SELECT count(*) FROM geo.table_catalog") == [(0,)]


def test_a_lost_item_is_made_again_as_it_was(api: Api, table: dict) -> None:
    [(before,)] = api.query("SELECT pgstac.get_item('postgis-geo-wells_r_v1', 'system-vectors')")
    api.query("DELETE FROM pgstac.items")
    run(api, "stac_catalog_vectors", access_level="ouo", dry_run=False)
    [(after,)] = api.query("SELECT pgstac.get_item('postgis-geo-wells_r_v1', 'system-vectors')")
    assert after == before
