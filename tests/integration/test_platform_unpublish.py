"""Taking datasets back over the partner's API: five ways to name them, and who may."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.hills import POINT, RASTER, VECTOR, approve


def unpublish(api: Api, body: dict, by: str = "ann", route: str = "unpublish") -> httpx.Response:
    return api.of(by).post(f"/api/platform/{route}", json=body)


def shown(api: Api) -> list[str]:
    return [i["resource_id"] for i in api.get("/api/platform/catalog/dataset/Hills")["items"]]


def tables(api: Api) -> list[str]:
    return [
        name
        for (name,) in api.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'geo' AND tablename LIKE 'hills%%'"
        )
    ]


def request_of(api: Api, job: str) -> str:
    return api.get(f"/api/platform/status/{job}", caller="ann")["request_id"]


def test_a_dry_run_is_the_default_and_changes_nothing(api: Api, hills: dict[str, str]) -> None:
    requests = api.query("SELECT count(*) FROM app.api_requests")
    answer = unpublish(api, {"job_id": hills["dem"]})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["dry_run"], told["job_type"], told["data_type"]) == (True, "unpublish_raster", "raster")
    assert (told["collection_id"], told["stac_item_id"]) == ("hills", "hills-dem-v1")
    api.drain()
    result = api.get(told["monitor_url"])["resultData"]
    assert (result["dry_run"], result["removed"]) == (True, False)
    assert len(result["inventory"]["blobs"]) == 1
    assert shown(api) == ["dem", "wells"]
    assert api.query("SELECT count(*) FROM app.api_requests") == requests


@pytest.mark.parametrize("way", ["request_id", "job_id", "dataset", "table", "data_type"])
def test_a_table_is_taken_back_whichever_way_it_is_named(api: Api, hills: dict[str, str], way: str) -> None:
    named = {
        "request_id": {"request_id": request_of(api, hills["wells"])},
        "job_id": {"job_id": hills["wells"]},
        "dataset": VECTOR,
        "table": {"table_name": "hills_wells_v1"},
        "data_type": {"data_type": "vector", "table_name": "hills_wells_v1", "schema_name": "geo"},
    }[way]
    assert tables(api) == ["hills_wells_v1"]
    answer = unpublish(api, {**named, "dry_run": False})
    assert (answer.status_code, answer.json()["table_name"]) == (202, "hills_wells_v1"), answer.text
    api.drain()
    assert api.get(answer.json()["monitor_url"])["status"] == "completed"
    assert (tables(api), shown(api)) == ([], ["dem"])


def test_an_item_is_taken_back_with_its_file(api: Api, hills: dict[str, str]) -> None:
    [(container, path)] = api.query("SELECT container, blob_path FROM app.cog_metadata")
    answer = unpublish(api, {"collection_id": "hills", "stac_item_id": "hills-dem-v1", "dry_run": False})
    assert answer.status_code == 202, answer.text
    api.drain()
    assert shown(api) == ["wells"]
    assert api.query("SELECT count(*) FROM app.cog_metadata") == [(0,)]
    assert [b.name.path for b in api.runtime.storage.list(container)] == []
    assert path


def test_a_whole_collection_is_counted(api: Api, hills: dict[str, str]) -> None:
    answer = unpublish(api, {"collection_id": "hills", "dry_run": False})
    told = answer.json()
    assert (answer.status_code, told["total_items"], told["jobs_submitted"]) == (202, 1, 1)
    api.drain()
    assert shown(api) == ["wells"]
    gone = unpublish(api, {"collection_id": "hills", "dry_run": False})
    assert (gone.status_code, gone.json()["code"]) == (404, "NOT_FOUND")


def test_a_collection_goes_with_its_last_item_also_when_that_is_a_table(api: Api, hills: dict[str, str]) -> None:
    [(wells,)] = api.query("SELECT stac_collection_id FROM geo.table_catalog")
    assert unpublish(api, {"collection_id": wells, "dry_run": False, "delete_collection": True}).status_code == 202
    api.drain()
    assert api.query("SELECT id FROM pgstac.collections ORDER BY 1") == [("hills",)]
    assert tables(api) == []


def test_what_the_public_sees_takes_an_admin_who_says_so(api: Api, hills: dict[str, str]) -> None:
    approve(api, hills["dem"])
    body = {**RASTER, "dry_run": False}
    refused = unpublish(api, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert "the public sees it" in refused.json()["error"]
    assert unpublish(api, {**body, "force_approved": True}).status_code == 403
    assert unpublish(api, {**body, "dry_run": True}).status_code == 202, "looking is allowed"
    api.drain()
    assert "dem" in shown(api)
    forced = unpublish(api, {**body, "force_approved": True}, by="ada")
    assert forced.status_code == 202, forced.text
    api.drain()
    assert shown(api) == ["wells"]
    assert api.query("SELECT DISTINCT status::text FROM app.dataset_approvals WHERE job_id = %s", hills["dem"]) == [
        ("revoked",)
    ]


@pytest.mark.parametrize(("named", "job"), [(RASTER, "dem"), (VECTOR, "wells")])
def test_the_review_that_ends_keeps_who_took_the_dataset_back_and_why(
    api: Api, hills: dict[str, str], named: dict, job: str
) -> None:
    approve(api, hills[job])
    body = {**named, "dry_run": False, "force_approved": True, "reason": "Measured in feet."}
    assert unpublish(api, body, by="ada").status_code == 202
    api.drain()
    kept = "SELECT status::text, revoked_by, revocation_reason FROM app.dataset_approvals WHERE job_id = %s"
    assert api.query(kept, hills[job]) == [("revoked", "ada", "Measured in feet.")]


def test_a_dataset_of_another_client_is_not_found(api: Api, hills: dict[str, str]) -> None:
    for named in (RASTER, {"job_id": hills["dem"]}, {"collection_id": "hills", "stac_item_id": "hills-dem-v1"}):
        assert unpublish(api, {**named, "dry_run": False}, by="bob").status_code == 404
    assert api.query("SELECT count(*) FROM app.jobs WHERE job_type LIKE 'unpublish%%'") == [(0,)]


def test_asking_twice_is_one_job_and_after_the_dataset_came_back_another(api: Api, hills: dict[str, str]) -> None:
    body = {**VECTOR, "dry_run": False}
    first, second = unpublish(api, body), unpublish(api, body)
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json()["job_id"] == first.json()["job_id"]
    api.drain()
    again = {**VECTOR, "container_name": "bronze-vectors", "file_name": "wells.geojson"}
    back = api.of("ann").post("/api/platform/submit", json={**again, "processing_options": {"overwrite": True}})
    assert back.status_code == 202, back.text
    api.drain()
    assert shown(api) == ["dem", "wells"]
    assert unpublish(api, body).status_code == 202
    api.drain()
    assert shown(api) == ["dem"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "give request_id, job_id"),
        ({"dataset_id": "Hills"}, "give dataset_id, resource_id and version_id together"),
        ({"stac_item_id": "x"}, "stac_item_id needs collection_id"),
        ({"tabel_name": "x"}, "did you mean 'table_name'?"),
        ({"table_name": "x", "delete_collection": True}, "delete_collection needs collection_id alone"),
    ],
)
def test_a_request_that_names_nothing_is_refused_with_the_ways_to_name_it(api: Api, body: dict, says: str) -> None:
    answer = unpublish(api, body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_the_old_addresses_answer_and_name_the_new_one(api: Api, hills: dict[str, str]) -> None:
    answer = unpublish(api, {"table_name": "hills_wells_v1"}, route="unpublish/vector")
    assert answer.status_code == 202, answer.text
    assert (answer.json()["_deprecated"], answer.json()["table_name"]) == (True, "hills_wells_v1")
    assert answer.headers["Link"] == '</api/platform/unpublish>; rel="successor-version"'
    assert parsedate_to_datetime(answer.headers["Sunset"]).year > 2026
    wrong = unpublish(api, {"data_type": "raster", "table_name": "hills_wells_v1"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "CONFLICT")


def submit(api: Api, by: str = "ann", **body: object) -> httpx.Response:
    return api.of(by).post("/api/platform/submit", json={**VECTOR, **body})


def test_the_operation_delete_of_submit_takes_the_dataset_back(api: Api, hills: dict[str, str]) -> None:
    looked = api.of("ann").post("/api/platform/submit?dry_run=true", json={**VECTOR, "operation": "DELETE"})
    assert (looked.status_code, looked.json()["dry_run"]) == (202, True)
    api.drain()
    assert tables(api) == ["hills_wells_v1"]
    answer = submit(api, operation="DELETE", container_name="bronze-vectors", file_name="wells.geojson")
    assert (answer.status_code, answer.json()["job_type"]) == (202, "unpublish_vector"), answer.text
    api.drain()
    assert (tables(api), shown(api)) == ([], ["dem"])
    assert submit(api, operation="DELETE").status_code == 404
    assert submit(api, operation="DELETE", by="bob").status_code == 404


def test_the_operation_update_replaces_what_there_is_and_needs_something_to_replace(
    api: Api, hills: dict[str, str]
) -> None:
    two = [{**POINT, "properties": {"n": n}} for n in (1, 2)]
    document = json.dumps({"type": "FeatureCollection", "features": two}).encode()
    api.runtime.storage.put(document, BlobName("bronze-vectors", "more.geojson"))
    source = {"container_name": "bronze-vectors", "file_name": "more.geojson"}
    answer = submit(api, operation="UPDATE", **source)
    assert answer.status_code == 202, answer.text
    api.drain()
    assert api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")["job_status"] == "completed"
    assert api.query("SELECT n FROM geo.hills_wells_v1 ORDER BY n") == [(1,), (2,)]
    absent = submit(api, operation="UPDATE", version_id="v9", **source)
    assert (absent.status_code, absent.json()["code"]) == (404, "NOT_FOUND")
    assert "operation CREATE" in absent.json()["hint"]
    wrong = submit(api, operation="REPLACE", **source)
    assert (wrong.status_code, "operation" in wrong.json()["error"]) == (400, True)
