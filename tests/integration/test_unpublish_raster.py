"""Taking a raster back: catalogue first, files last, neighbours untouched, approved ones only by force."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff


@pytest.fixture
def published(api: Api, tmp_path: Path) -> dict:
    """Two rasters of one collection with a MosaicJSON; the second far to the east."""
    pixels = np.random.default_rng(2).integers(1, 200, (120, 140), dtype=np.uint8)
    for number, name in enumerate(("a", "b")):
        transform = UTM * UTM.translation(number * 9000, 0)
        path = write_tiff(tmp_path / f"{name}.tif", pixels, transform=transform, nodata=0)
        api.runtime.storage.upload(path, BlobName("bronze-rasters", f"{name}.tif"))
    ids = {"dataset_id": "D", "resource_id": "r", "version_id": "v", "container_name": "bronze-rasters"}
    options = {"create_mosaicjson": True, "output_tier": "all"}
    answer = api.of("ann").post(
        "/api/platform/submit", json={**ids, "file_name": ["a.tif", "b.tif"], "processing_options": options}
    )
    api.drain()
    return api.get(f"/api/platform/status/{answer.json()['request_id']}")


def unpublish(api: Api, item: str = "d-r-v-b", **more: object) -> dict:
    job = api.submit("unpublish_raster", by="ada", stac_item_id=item, collection_id="d", **more)
    api.drain()
    return api.get(f"/api/jobs/status/{job}")


def blobs(api: Api) -> set[str]:
    return {blob.name.path for blob in api.runtime.storage.list("silver-cogs") if blob.name.suffix == ".tif"}


def everything(api: Api) -> list:
    tables = ("pgstac.items", "pgstac.collections", "app.cog_metadata", "app.dataset_refs", "app.dataset_approvals")
    return [api.query(f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text") for table in tables]


def test_a_dry_run_tells_all_and_changes_nothing(api: Api, published: dict) -> None:
    before, files, requests = everything(api), blobs(api), api.query("SELECT count(*) FROM app.api_requests")
    result = unpublish(api)["resultData"]
    assert (result["dry_run"], result["removed"], result["needs_force"]) == (True, False, False)
    inventory = result["inventory"]
    assert (inventory["item"], inventory["dataset_refs"], inventory["other_items"]) == (True, 1, 1)
    assert len(inventory["blobs"]) == 3  # of three tiers
    assert (everything(api), blobs(api), api.query("SELECT count(*) FROM app.api_requests")) == (
        before,
        files,
        requests,
    )


def test_item_row_references_and_files_go_and_the_neighbour_stays(api: Api, published: dict) -> None:
    mine = set(api.query("SELECT content FROM pgstac.items WHERE id = 'd-r-v-a'")[0][0]["assets"])
    status = unpublish(api, dry_run=False)
    assert status["status"] == "completed", status["errorDetails"]
    assert len(status["resultData"]["blobs_deleted"]) == 3 and status["resultData"]["blobs_kept"] == []
    assert api.query("SELECT id FROM pgstac.items") == [("d-r-v-a",)]
    assert api.query("SELECT stac_item_id FROM app.cog_metadata") == [("d-r-v-a",)]
    assert api.query("SELECT stac_item_id FROM app.dataset_refs") == [("d-r-v-a",)]
    assert len(blobs(api)) == len(mine) == 3
    [(made,)] = api.query("SELECT content FROM pgstac.collections")
    [(left,)] = api.query("SELECT content -> 'bbox' FROM pgstac.items")
    assert made["extent"]["spatial"]["bbox"] == [left]
    document = json.loads(
        api.runtime.storage.read(api.runtime.storage.parse_href(made["assets"]["mosaicjson"]["href"]))
    )
    assert len({href for hrefs in document["tiles"].values() for href in hrefs}) == 1
    listed = api.query("SELECT stac_item_id, state::text FROM app.approval_items ORDER BY 1")
    assert listed == [("d-r-v-a", "open"), ("d-r-v-b", "withdrawn")]


def test_an_approved_raster_is_refused_unless_forced(api: Api, published: dict) -> None:
    api.of("rita").post(f"/api/approvals/{published['approval']['approval_id']}/approve", json={})
    before, files = everything(api), blobs(api)
    assert unpublish(api)["resultData"]["needs_force"] is True
    status = unpublish(api, dry_run=False)
    assert (status["status"], status["errorDetails"]["code"]) == ("failed", "CONFLICT")
    assert (everything(api), blobs(api)) == (before, files)
    forced = unpublish(api, dry_run=False, force_approved=True)
    assert forced["status"] == "completed", forced["errorDetails"]
    assert api.query("SELECT id FROM pgstac.items") == [("d-r-v-a",)]


def test_an_approval_between_looking_and_removing_is_seen_by_the_transaction(api: Api, published: dict) -> None:
    job = api.submit("unpublish_raster", by="ada", stac_item_id="d-r-v-b", collection_id="d", dry_run=False)
    [looking] = api.claim()
    api.runtime.machine.process(looking)
    [removing] = api.claim()
    outcome = api.runtime.machine.run(removing, threading.Event())
    api.of("rita").post(f"/api/approvals/{published['approval']['approval_id']}/approve", json={})
    api.runtime.machine.settle(removing, outcome, 1)
    api.drain()
    status = api.get(f"/api/jobs/status/{job}")
    assert (status["status"], status["errorDetails"]["code"]) == ("failed", "CONFLICT")
    assert api.query("SELECT count(*) FROM pgstac.items") == [(2,)] and len(blobs(api)) == 6


def test_the_last_item_leaves_an_empty_collection_or_takes_it_along(api: Api, published: dict) -> None:
    unpublish(api, dry_run=False)
    unpublish(api, "d-r-v-a", dry_run=False)
    [(made,)] = api.query("SELECT content FROM pgstac.collections")
    assert "mosaicjson" not in made.get("assets", {}) and made["summaries"].get("proj:code") is None
    assert api.query("SELECT count(*) FROM app.dataset_approvals") == [(0,)]


def test_an_empty_collection_goes_too_when_asked_for(api: Api, published: dict) -> None:
    unpublish(api, dry_run=False)
    unpublish(api, "d-r-v-a", dry_run=False, delete_collection=True)
    assert api.query("SELECT count(*) FROM pgstac.collections") == [(0,)]


def test_what_is_not_there_is_told(api: Api, published: dict) -> None:
    status = unpublish(api, "nothing")
    assert (status["status"], status["errorDetails"]["code"]) == ("failed", "NOT_FOUND")
    assert "d/nothing" in status["errorDetails"]["message"]


def test_an_item_of_a_table_is_no_raster_and_stays(api: Api, published: dict) -> None:
    asset = '{"data": {"href": "http://x/api/features/collections/t", "type": "application/geo+json"}}'
    api.query(
        "UPDATE pgstac.items SET content = jsonb_set(content, '{assets}', %s::jsonb) WHERE id = 'd-r-v-b' RETURNING id",
        asset,
    )
    api.query("DELETE FROM app.cog_metadata WHERE stac_item_id = 'd-r-v-b'")
    status = unpublish(api, dry_run=False)
    assert (status["status"], status["errorDetails"]["code"]) == ("failed", "NOT_FOUND")
    assert api.query("SELECT count(*) FROM pgstac.items") == [(2,)]


def test_a_file_that_is_catalogued_again_meanwhile_is_kept(api: Api, published: dict) -> None:
    api.submit("unpublish_raster", by="ada", stac_item_id="d-r-v-b", collection_id="d", dry_run=False)
    for _ in ("inventory", "delete_stac"):
        [item] = api.claim()
        api.runtime.machine.process(item)
    given = {"container_name": "bronze-rasters", "blob_name": "b.tif", "collection_id": "d", "item_id": "d-r-v-b"}
    ids = {"dataset_id": "D", "resource_id": "r", "version_id": "v", "output_tier": "all", "output_folder": "d/r/v"}
    api.submit("process_raster_v2", by="ada", **given, **ids, access_level="ouo")
    open_blobs = api.claim(3)
    machine = api.runtime.worker("other")
    api.drain(machine)
    for item in open_blobs:
        api.runtime.machine.process(item)
    api.drain()
    [(assets,)] = api.query("SELECT content -> 'assets' FROM pgstac.items WHERE id = 'd-r-v-b'")
    files = {api.runtime.storage.parse_href(asset["href"]).path for asset in assets.values()}
    assert len(files) == 3 and files <= blobs(api), "of every tier"
