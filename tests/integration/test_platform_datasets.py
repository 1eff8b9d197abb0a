"""Where is a partner's dataset, and where did it come from? Over the API, after real jobs."""

from __future__ import annotations

import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.hills import RASTER, VECTOR, approve


def test_a_dataset_is_found_by_the_ids_it_was_submitted_with(api: Api, hills: dict[str, str]) -> None:
    found = api.get("/api/platform/catalog/lookup", caller="ann", **RASTER)
    assert found["found"] is True
    assert (found["stac"]["collection_id"], found["stac"]["item_id"]) == ("hills", "hills-dem-v1")
    assert found["processing"]["job_id"] == hills["dem"]
    assert found["ddh_refs"] == RASTER
    west, south, east, north = found["metadata"]["bbox"]
    assert 26 < west < east < 28, "UTM zone 35S, half a kilometre east of its meridian"
    assert -2 < south < north < -1
    path = found["stac"]["item_url"].partition("testserver")[2]
    assert api.get(path, caller="ann")["properties"]["platform:dataset_id"] == "Hills"
    assets = api.get(found["stac"]["assets_url"].partition("testserver")[2], caller="ann")
    assert "data" in assets["assets"]
    assert assets["titiler"]["preview"].endswith("/collections/hills/items/hills-dem-v1/preview.png")
    assert api.get("/api/platform/catalog/assets/hills/hills-dem-v1", include_titiler=False)["titiler"] is None


def test_a_table_is_found_with_the_addresses_of_its_features(api: Api, hills: dict[str, str]) -> None:
    found = api.get("/api/platform/catalog/lookup", caller="ann", **VECTOR)
    assert found["metadata"]["bbox"] == pytest.approx([30.5, -2.25, 30.5, -2.25])
    assert found["items"][0]["table_name"] == "hills_wells_v1"
    assets = api.get(found["stac"]["assets_url"].partition("testserver")[2], caller="ann")
    assert assets["services"]["ogc_features"]["items"].endswith("/api/features/collections/geo.hills_wells_v1/items")
    assert assets["titiler"] is None


def test_every_item_of_a_dataset_is_listed_a_page_at_a_time(api: Api, hills: dict[str, str]) -> None:
    whole = api.get("/api/platform/catalog/dataset/Hills", caller="ann")
    assert [(i["resource_id"], i["data_type"]) for i in whole["items"]] == [("dem", "raster"), ("wells", "vector")]
    first = api.get("/api/platform/catalog/dataset/Hills", caller="ann", limit=1)
    second = api.get("/api/platform/catalog/dataset/Hills", caller="ann", limit=1, cursor=first["next_cursor"])
    assert first["items"] + second["items"] == whole["items"]
    rasters = api.get("/api/platform/catalog/dataset/Hills", caller="ann", data_type="raster")
    assert [i["item_id"] for i in rasters["items"]] == ["hills-dem-v1"]
    wrong = api.of("ann").get("/api/platform/catalog/dataset/Hills", params={"cursor": "x"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "VALIDATION_ERROR")


def test_a_draft_is_seen_by_its_client_and_reviewers_and_after_approval_by_all(api: Api, hills: dict[str, str]) -> None:
    def seen(caller: str) -> list[str]:
        return [i["item_id"] for i in api.get("/api/platform/catalog/dataset/Hills", caller=caller)["items"]]

    assert (len(seen("ann")), len(seen("rex")), len(seen("ada"))) == (2, 2, 2)
    assert seen("bob") == []
    hidden = api.get("/api/platform/catalog/lookup", caller="bob", **RASTER)
    assert (hidden["found"], hidden["reason"]) == (False, "unknown")
    assert api.of("bob").get("/api/platform/catalog/item/hills/hills-dem-v1").status_code == 404
    approve(api, hills["dem"])
    assert seen("bob") == ["hills-dem-v1"]
    assert api.get("/api/platform/catalog/lookup", caller="bob", **RASTER)["items"][0]["published"] is True
    drafts = api.get("/api/platform/catalog/dataset/Hills", caller="ann", published=False)
    assert [i["resource_id"] for i in drafts["items"]] == ["wells"]


def test_what_is_not_in_the_catalogue_says_why(api: Api) -> None:
    api.runtime.storage.put(b"no raster", BlobName("bronze-rasters", "notes.tif"))
    body = {**RASTER, "container_name": "bronze-rasters", "file_name": "notes.tif"}
    request = api.of("ann").post("/api/platform/submit", json=body).json()["request_id"]
    waiting = api.get("/api/platform/catalog/lookup", caller="ann", **RASTER)
    assert (waiting["found"], waiting["reason"]) == (False, "in_progress")
    api.drain()
    failed = api.get("/api/platform/catalog/lookup", caller="ann", **RASTER)
    assert (failed["reason"], failed["status_url"]) == ("failed", f"/api/platform/status/{request}")
    assert api.get("/api/platform/catalog/lookup", caller="bob", **RASTER)["reason"] == "unknown"


def test_lineage_leads_from_the_file_to_what_was_made_and_decided(api: Api, hills: dict[str, str]) -> None:
    approve(api, hills["dem"])
    told = api.get(f"/api/platform/lineage/{hills['dem']}", caller="ann")
    assert (told["status"], told["data_type"]) == ("completed", "raster")
    assert (told["source"]["container"], told["source"]["blob_name"]) == ("bronze-rasters", "dem.tif")
    [output] = told["outputs"]
    stored = api.runtime.storage.head(BlobName(output["container"], output["blob_path"]))
    assert stored.size == output["size_bytes"]
    [run] = told["processing"]["runs"]
    assert [stage["name"] for stage in run["stages"]] == ["validate", "create_cog", "stac"]
    assert all(stage["seconds"] >= 0 for stage in run["stages"])
    assert [review["status"] for review in told["approvals"]] == ["approved"]
    assert told["data_access"] == api.get(f"/api/platform/status/{hills['dem']}", caller="ann")["data_access"]
    vector = api.get(f"/api/platform/lineage/{hills['wells']}", caller="ann")
    assert (vector["outputs"][0]["rows_read"], vector["outputs"][0]["rows_written"]) == (1, 1)
    assert api.of("bob").get(f"/api/platform/lineage/{hills['dem']}").status_code == 404


@pytest.mark.parametrize(
    "path", ["catalog/item/a%00/b", "catalog/assets/a/b%00", "catalog/dataset/%00", "lineage/%00", "status/%00"]
)
def test_a_name_that_no_database_holds_is_not_found(api: Api, path: str) -> None:
    assert api.of("ada").get(f"/api/platform/{path}").status_code == 404
