"""Many rasters to one collection: over HTTP, through the machine, into a real pgSTAC."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg
import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff

SIZE = 128  # pixels of 10 m


@pytest.fixture
def upload(api: Api, tmp_path: Path):
    """Stores rasters that adjoin each other in a row."""

    def put(name: str, place: int = 0, *, dtype: str = "uint8", bands: int = 1, crs: str = "EPSG:32735") -> str:
        pixels = np.random.default_rng(place).integers(1, 200, (bands, SIZE, SIZE)).astype(dtype)
        transform = UTM * UTM.translation(place * SIZE, 0)
        path = write_tiff(tmp_path / "made.tif", pixels, crs=crs, transform=transform, nodata=0)
        api.runtime.storage.upload(path, BlobName("bronze-rasters", name))
        return name

    return put


def submit(api: Api, files: list[str], resource: str = "r", **more: object) -> dict:
    """Send, run, and return the status."""
    options = more.pop("options", {})
    body = {"dataset_id": "Tiles", "resource_id": resource, "version_id": "v1", "container_name": "bronze-rasters"}
    answer = api.of("ann").post(
        "/api/platform/submit", json={**body, "file_name": files, "processing_options": options, **more}
    )
    assert answer.status_code == 202, answer.text
    api.drain()
    return api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")


def collection(api: Api, name: str = "tiles") -> dict:
    [(content,)] = api.query("SELECT content FROM pgstac.collections WHERE id = %s", name)
    return content


def found_by_mosaic(api: Api, search_id: str) -> list[str]:
    """What the registered search finds, asked as tile servers ask."""
    with psycopg.connect(api.db) as conn:
        conn.execute("SET LOCAL search_path = pgstac, public")
        world = json.dumps({"type": "Polygon", "coordinates": [[[20, -10], [40, -10], [40, 5], [20, 5], [20, -10]]]})
        fields = json.dumps({"include": ["id"]})
        row = conn.execute("SELECT geojsonsearch(%s, %s, %s)", [world, search_id, fields]).fetchone()
    return sorted(feature["id"] for feature in row[0]["features"])


def test_files_become_items_of_one_collection_with_one_review_and_a_mosaic(api: Api, upload) -> None:
    status = submit(api, [upload(f"in/t{n}.tif", n) for n in range(4)], access_level="public", title="Four tiles")
    assert (status["job_type"], status["job_status"]) == ("process_raster_collection_v2", "completed")
    assert "4 files" in status["routing"]
    result = status["job_result"]
    assert result["cogs"] | {"total_size_mb": 0} == {
        "total_count": 4, "successful": 4, "failed": 0, "total_size_mb": 0
    }  # fmt: skip
    names = [f"tiles-r-v1-t{n}" for n in range(4)]
    assert [file["item_id"] for file in result["files"]] == names
    assert api.query("SELECT id FROM pgstac.items ORDER BY id") == [(name,) for name in names]
    assert api.query("SELECT count(*) FROM app.cog_metadata") == [(4,)]
    made = collection(api)
    boxes = [b for (b,) in api.query("SELECT content -> 'bbox' FROM pgstac.items")]
    union = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    assert made["extent"]["spatial"]["bbox"] == [union] and made["title"] == "Four tiles"
    assert made["summaries"]["proj:code"] == ["EPSG:32735"] and made["summaries"]["app:dtype"] == ["uint8"]
    search_id = result["stac"]["search_id"]
    assert made["summaries"]["mosaic:search_id"] == [search_id]
    assert found_by_mosaic(api, search_id) == []

    approval = api.get(f"/api/approvals/{status['approval']['approval_id']}")
    assert (approval["stac_collection_id"], approval["item_count"]) == ("tiles", 4)
    assert api.of("rita").post(f"/api/approvals/{approval['approval_id']}/approve", json={}).status_code == 200
    assert found_by_mosaic(api, search_id) == names


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_published(api: Api, upload) -> None:
    api.runtime.storage.put(b"II*\0 this is no raster at all", BlobName("bronze-rasters", "bad.tif"))
    status = submit(api, [upload("a.tif"), "bad.tif", upload("b.tif", 1)])
    assert status["job_status"] == "completed_with_errors"
    outcome = {file["blob_name"]: file for file in status["job_result"]["files"]}
    assert (outcome["bad.tif"]["status"], outcome["bad.tif"]["failed_stage"]) == ("failed", "validate")
    assert outcome["bad.tif"]["error_code"] == "UNREADABLE_SOURCE" and "bad.tif" in outcome["bad.tif"]["error_message"]
    assert outcome["a.tif"]["status"] == outcome["b.tif"]["status"] == "completed"
    assert status["job_result"]["stac"]["items_failed"] == 1
    assert status["task_summary"]["by_stage"]["1"]["failed"] == 1
    assert api.query("SELECT count(*) FROM pgstac.items") == [(2,)]
    assert status["approval"]["status"] == "pending"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"dtype": "uint16"}, "c.tif has data type uint16"),
        ({"bands": 3}, "c.tif has band count 3"),
        ({"crs": "EPSG:32736"}, "c.tif has CRS EPSG:32736"),
    ],
)
def test_a_mixed_collection_is_refused_by_file_and_leaves_nothing(api: Api, upload, other: dict, says: str) -> None:
    status = submit(api, [upload("a.tif"), upload("b.tif", 1), upload("c.tif", 2, **other)])
    assert status["job_status"] == "failed"
    assert status["job_error"]["code"] == "MIXED_COLLECTION"
    assert says in status["job_error"]["message"] and "a.tif has" not in status["job_error"]["message"]
    assert list(api.runtime.storage.list("silver-cogs")) == []
    assert api.query("SELECT count(*) FROM pgstac.collections") == [(0,)]


def test_files_in_several_crs_are_one_collection_when_brought_to_one(api: Api, upload) -> None:
    files = [upload("a.tif"), upload("b.tif", 1, crs="EPSG:32736")]
    status = submit(api, files, options={"target_crs": "EPSG:4326"})
    assert status["job_status"] == "completed", status["job_error"]
    assert collection(api)["summaries"]["proj:code"] == ["EPSG:4326"]


def test_a_collection_none_of_whose_files_can_be_read_fails(api: Api) -> None:
    for name in ("a.tif", "b.tif"):
        api.runtime.storage.put(b"II*\0 nothing", BlobName("bronze-rasters", name))
    status = submit(api, ["a.tif", "b.tif"])
    assert status["job_status"] == "failed"
    assert api.query("SELECT count(*) FROM pgstac.collections") == [(0,)]


def test_files_of_one_name_in_two_folders_are_two_items(api: Api, upload) -> None:
    submit(api, [upload("x/a.tif"), upload("y/a.tif", 1)])
    assert api.query("SELECT id FROM pgstac.items ORDER BY id") == [("tiles-r-v1-x-a-tif",), ("tiles-r-v1-y-a-tif",)]


def quadkey(longitude: float, latitude: float, zoom: int) -> str:
    """By the published formula of the Web Mercator tile scheme."""
    x = (longitude + 180) / 360
    y = (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2
    column, row = int(x * 2**zoom), int(y * 2**zoom)
    return "".join(str((column >> bit & 1) + 2 * (row >> bit & 1)) for bit in range(zoom - 1, -1, -1))


def check_mosaicjson(api: Api) -> dict:
    """The collection's MosaicJSON finds every item's COG at the item's centre."""
    asset = collection(api)["assets"]["mosaicjson"]
    document = json.loads(api.runtime.storage.read(api.runtime.storage.parse_href(asset["href"])))
    for bbox, href in api.query("SELECT content -> 'bbox', content -> 'assets' -> 'data' ->> 'href' FROM pgstac.items"):
        key = quadkey((bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2, document["quadkey_zoom"])
        assert href in document["tiles"][key]
    assert document["mosaicjson"] == "0.0.3" and document["minzoom"] <= document["maxzoom"]
    return document


def test_a_mosaicjson_is_written_on_request_and_kept_up_by_whoever_adds_to_the_collection(api: Api, upload) -> None:
    status = submit(api, [upload("a.tif"), upload("b.tif", 1)], options={"create_mosaicjson": True})
    made = check_mosaicjson(api)
    summary = status["job_result"]["mosaicjson"]
    assert summary["tile_count"] == len(made["tiles"]) and summary["bounds"] == made["bounds"]
    upload("c.tif", 300)
    body = {"dataset_id": "Tiles", "resource_id": "c", "version_id": "v1", "container_name": "bronze-rasters"}
    route = "/api/platform/raster/add-to-collection"
    added = api.of("ann").post(route, json={**body, "file_name": "c.tif", "collection_id": "tiles"})
    assert added.status_code == 202, added.text
    api.drain()
    more = check_mosaicjson(api)
    assert len({href for hrefs in more["tiles"].values() for href in hrefs}) == 3
    assert more["bounds"][2] > made["bounds"][2] + 3


def test_writing_a_mosaic_removes_its_own_old_ones_but_no_cog_and_no_other_collections(api: Api, upload) -> None:
    """A COG may be called mosaic, and two collections may be called alike."""
    store = api.runtime.storage
    for number, name in enumerate(("re.lief", "re-lief")):
        given = {"container_name": "bronze-rasters", "blob_list": [upload(f"mosaic-{number}.tif", number)]}
        wanted = {"collection_id": name, "access_level": "ouo", "create_mosaicjson": True, "output_folder": "re-lief"}
        api.submit("process_raster_collection_v2", by="ada", **given, **wanted)
        api.drain()
    before = {blob.name for blob in store.list("silver-cogs")}
    for name in before:
        os.utime(store.gdal_path(name), (0, 0))
    for number in (2, 3):
        given = {"container_name": "bronze-rasters", "blob_name": upload(f"c{number}.tif", number)}
        api.submit("process_raster_v2", by="ada", **given, collection_id="re-lief", access_level="ouo")
        api.drain()
    gone = before - {blob.name for blob in store.list("silver-cogs")}
    assert len(before) == 4 and [name.suffix for name in gone] == [".json"]
    for (content,) in api.query("SELECT content FROM pgstac.collections"):
        assert store.head(store.parse_href(content["assets"]["mosaicjson"]["href"])).size > 0


def test_two_jobs_that_extend_a_collection_at_once_are_both_in_it_and_in_its_mosaic(api: Api, upload) -> None:
    submit(api, [upload("a.tif"), upload("b.tif", 1)], options={"create_mosaicjson": True})
    for number in range(4):
        name = upload(f"n{number}.tif", 2 + number)
        given = {"container_name": "bronze-rasters", "blob_name": name, "collection_id": "tiles"}
        api.submit("process_raster_v2", by="ada", **given, access_level="ouo", collection_must_exist=True)
    machines = [api.runtime.worker(f"worker-{n}") for n in range(2)]
    threads = [threading.Thread(target=api.drain, args=(machine,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert api.query("SELECT status::text, count(*) FROM app.jobs GROUP BY 1") == [("completed", 5)]
    assert api.query("SELECT count(*) FROM pgstac.items") == [(6,)]
    document = check_mosaicjson(api)
    assert len({href for hrefs in document["tiles"].values() for href in hrefs}) == 6


def test_a_mosaic_written_for_other_items_is_written_again(api: Api, upload) -> None:
    """The transaction refuses it with a retry, so that nobody's items are missing from it."""
    submit(api, [upload("a.tif"), upload("b.tif", 1)], options={"create_mosaicjson": True})
    upload("c.tif", 2)
    given = {"container_name": "bronze-rasters", "blob_name": "c.tif", "collection_id": "tiles"}
    api.submit("process_raster_v2", by="ada", **given, access_level="ouo")
    late = api.runtime.machine
    for _ in ("validate", "create_cog"):
        [item] = api.claim()
        late.process(item)
    [stac] = api.claim()
    outcome = late.run(stac, threading.Event())
    api.query("DELETE FROM pgstac.items WHERE id LIKE '%%-b'")
    late.settle(stac, outcome, 1)
    codes = api.query("SELECT error_history -> 0 ->> 'code' FROM app.tasks WHERE stage = 3 AND status = 'pending'")
    assert codes == [("COLLECTION_CHANGED",)]
    api.drain()
    assert api.query("SELECT count(*) FROM app.jobs WHERE status = 'completed'") == [(2,)]
    document = check_mosaicjson(api)
    assert len({href for hrefs in document["tiles"].values() for href in hrefs}) == 2


def late(api: Api, job: str, tasks: int, between: Callable[[], object]) -> list[tuple[str, ...]]:
    """Run a job whose last task ends after something else happened; why that task is run again."""
    machine = api.runtime.machine
    for _ in range(tasks):
        [item] = api.claim()
        machine.process(item)
    [last] = api.claim()
    outcome = machine.run(last, threading.Event())
    between()
    machine.settle(last, outcome, 1)
    reasons = api.query("SELECT error_history -> 0 ->> 'code' FROM app.tasks WHERE status = 'pending'")
    api.drain()
    assert api.get(f"/api/jobs/status/{job}")["status"] == "completed"
    return reasons


def listed(document: dict) -> set[str]:
    return {href for hrefs in document["tiles"].values() for href in hrefs}


def stored_cogs(api: Api) -> set[str]:
    return {href for (href,) in api.query("SELECT content -> 'assets' -> 'data' ->> 'href' FROM pgstac.items")}


def test_a_raster_that_comes_while_the_first_mosaic_is_made_is_in_it(api: Api, upload) -> None:
    submit(api, [upload("a.tif"), upload("b.tif", 1)])
    given = {"container_name": "bronze-rasters", "blob_name": upload("c.tif", 2), "collection_id": "tiles"}
    job = api.submit("process_raster_v2", by="ada", **given, access_level="ouo")
    files = [upload("d.tif", 3), upload("e.tif", 4)]
    reasons = late(api, job, 2, lambda: submit(api, files, resource="o", options={"create_mosaicjson": True}))
    assert reasons == [("COLLECTION_CHANGED",)]
    assert listed(check_mosaicjson(api)) == stored_cogs(api) and len(stored_cogs(api)) == 5


def test_a_mosaic_lists_the_cog_that_took_the_place_of_another_meanwhile(api: Api, upload) -> None:
    submit(api, [upload("a.tif"), upload("b.tif", 1)], options={"create_mosaicjson": True})
    given = {"container_name": "bronze-rasters", "blob_name": upload("c.tif", 2), "collection_id": "tiles"}
    job = api.submit("process_raster_v2", by="ada", **given, access_level="ouo")
    before = stored_cogs(api)
    upload("b.tif", 7)
    other = {"container_name": "bronze-rasters", "blob_name": "b.tif", "collection_id": "tiles"}

    def replace() -> None:
        api.submit("process_raster_v2", by="ada", **other, access_level="ouo", item_id="tiles-r-v1-b")
        api.drain(api.runtime.worker("other"))

    reasons = late(api, job, 2, replace)
    assert reasons == [("COLLECTION_CHANGED",)] and before - stored_cogs(api)
    assert listed(check_mosaicjson(api)) == stored_cogs(api) and len(stored_cogs(api)) == 3


def test_a_mosaic_that_is_made_while_a_raster_is_taken_back_does_not_list_it(api: Api, upload) -> None:
    submit(api, [upload("a.tif"), upload("b.tif", 1)])
    job = api.submit("unpublish_raster", by="ada", stac_item_id="tiles-r-v1-b", collection_id="tiles", dry_run=False)
    files = [upload("d.tif", 3), upload("e.tif", 4)]
    reasons = late(api, job, 1, lambda: submit(api, files, resource="o", options={"create_mosaicjson": True}))
    assert reasons == [("COLLECTION_CHANGED",)]
    assert listed(check_mosaicjson(api)) == stored_cogs(api) and len(stored_cogs(api)) == 3


def test_each_job_is_reviewed_for_the_items_it_put_in(api: Api, upload) -> None:
    first = submit(api, [upload("a.tif"), upload("b.tif", 1)], resource="one")
    second = submit(api, [upload("c.tif", 2), upload("d.tif", 3)], resource="two")
    assert first["approval"]["approval_id"] != second["approval"]["approval_id"]
    api.of("rita").post(f"/api/approvals/{first['approval']['approval_id']}/approve", json={})
    published = found_by_mosaic(api, first["job_result"]["stac"]["search_id"])
    assert published == ["tiles-one-v1-a", "tiles-one-v1-b"]
    assert first["job_result"]["stac"]["search_id"] == second["job_result"]["stac"]["search_id"]


def test_deleting_the_job_takes_its_items_back_and_revokes_their_review(api: Api, upload) -> None:
    status = submit(api, [upload("a.tif"), upload("b.tif", 1)])
    api.of("rita").post(f"/api/approvals/{status['approval']['approval_id']}/approve", json={})
    query = {"confirm": "yes", "delete_artifacts": "true", "force": "true"}
    gone = api.of("ada").delete(f"/api/jobs/{status['job_id']}", params=query)
    assert gone.status_code == 200, gone.text
    assert api.query("SELECT count(*) FROM pgstac.items") == [(0,)]
    assert api.query("SELECT status::text FROM app.dataset_approvals") == [("revoked",)]
    assert list(api.runtime.storage.list("silver-cogs")) == []


def test_deleting_a_job_leaves_a_collection_of_what_the_others_put_in(api: Api, upload) -> None:
    one = submit(api, [upload("a.tif"), upload("b.tif", 1)], resource="one", options={"create_mosaicjson": True})
    submit(api, [upload("c.tif", 300), upload("d.tif", 301)], resource="two")
    query = {"confirm": "yes", "delete_artifacts": "true", "force": "true"}
    gone = api.of("ada").delete(f"/api/jobs/{one['job_id']}", params=query)
    assert gone.status_code == 200, gone.text
    boxes = [box for (box,) in api.query("SELECT content -> 'bbox' FROM pgstac.items")]
    made = collection(api)
    assert len(boxes) == 2 and made["extent"]["spatial"]["bbox"][0][0] == min(box[0] for box in boxes)
    assert "mosaicjson" not in made["assets"], "it lists files that are gone"
    assert made["summaries"]["mosaic:search_id"] == [one["job_result"]["stac"]["search_id"]]


def test_the_collection_must_exist_when_asked_for(api: Api, upload) -> None:
    given = {"container_name": "bronze-rasters", "blob_list": [upload("a.tif"), upload("b.tif", 1)]}
    wanted = {"collection_id": "nowhere", "collection_must_exist": True, "access_level": "ouo"}
    job = api.submit("process_raster_collection_v2", by="ada", **given, **wanted)
    api.drain()
    status = api.get(f"/api/jobs/status/{job}")
    assert status["status"] == "failed"
    messages = api.query("SELECT DISTINCT error_code, error_message FROM app.tasks")
    assert messages == [("NOT_FOUND", "There is no collection 'nowhere' to add to.")]
    assert list(api.runtime.storage.list("silver-cogs")) == []


def upload_shared(api: Api, folder: Path, *names: str) -> list[str]:
    """Real files beside the repository."""
    for name in names:
        api.runtime.storage.upload(folder / name, BlobName("bronze-rasters", name))
    return list(names)


@pytest.mark.shared_data
def test_four_adjoining_real_tiles_become_one_collection(api: Api, shared_data: Path) -> None:
    facts = json.loads((shared_data / "facts.json").read_text())
    files = upload_shared(api, shared_data / "raster/tiles4", *(f"rgb{n}.tif" for n in range(1, 5)))
    status = submit(api, files, options={"create_mosaicjson": True})
    assert status["job_status"] == "completed", status["job_error"]
    for item, shape in api.query("SELECT id, content -> 'properties' -> 'proj:shape' FROM pgstac.items"):
        width, height = facts[f"raster/tiles4/{item.removeprefix('tiles-r-v1-')}.tif"]["size"]
        assert shape == [height, width]
    check_mosaicjson(api)


@pytest.mark.shared_data
def test_real_files_of_several_kinds_are_refused_by_name_and_leave_nothing(api: Api, shared_data: Path) -> None:
    names = ("RGB.byte.tif", "RGBA.uint16.tif", "cog_int16.tif")
    status = submit(api, upload_shared(api, shared_data / "raster/general", *names))
    assert status["job_error"]["code"] == "MIXED_COLLECTION"
    assert sum(name in status["job_error"]["message"] for name in names) >= 2
    assert list(api.runtime.storage.list("silver-cogs")) == []
    assert api.query("SELECT count(*) FROM app.tasks WHERE attempt > 1") == [(0,)]
