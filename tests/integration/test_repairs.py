"""Repairs: what the policy allows ends as it was before the damage, is written down, and can be undone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.contracts.outcomes import Done
from core.contracts.storage import BlobName
from tests.integration.test_consistency import ROUTE, TABLE, cog, compare, findings
from tests.integration.test_raster_reports import put_cog
from tests.support.api import Api
from tests.support.catalogue import catalogue
from tests.support.floor import Floor
from tests.support.hills import approve
from triggers.timers import TIMERS

HIDDEN = "UPDATE pgstac.items SET content = jsonb_set(content, '{properties,app:published}', 'false')"
SMALL = (
    "UPDATE pgstac.collections SET content = jsonb_set(content, '{extent,spatial,bbox,0,2}',"
    " content #> '{extent,spatial,bbox,0,0}') WHERE id = (SELECT stac_collection_id FROM app.cog_metadata)"
)
SHORT = (
    "UPDATE pgstac.collections SET content ="
    " jsonb_set(content, '{extent,temporal,interval}', '[[\"2001-01-01T00:00:00Z\",\"2001-01-01T00:00:00Z\"]]')"
)


@pytest.fixture
def healthy(api: Api, hills: dict[str, str]) -> Api:
    for job in hills.values():
        approve(api, job)
    return api


def repair(api: Api, **body: object) -> dict:
    answer = api.of("ada").post(f"{ROUTE}/repair", json={"dry_run": False, **body})
    assert answer.status_code == 202, answer.text
    api.drain()
    return api.get(f"/api/jobs/status/{answer.json()['job_id']}")["resultData"]


def rebuild(api: Api, **parameters: object) -> dict:
    answer = api.of("ada").post("/api/jobs/submit/rebuild_stac", json=parameters)
    assert answer.status_code == 202, answer.text
    api.drain()
    return api.get(f"/api/jobs/status/{answer.json()['job_id']}")["resultData"]


DAMAGES = (
    "DELETE FROM pgstac.items",
    "UPDATE app.cog_metadata SET stac_item_id = 'elsewhere'",
    "UPDATE geo.table_catalog SET stac_item_id = NULL",
    "UPDATE geo.table_catalog SET bbox_maxx = bbox_maxx + 1, bbox_miny = bbox_miny - 3",
    "UPDATE geo.table_catalog SET feature_count = 17",
    "UPDATE geo.table_catalog SET srid = 3857",
    f"DROP INDEX geo.{TABLE}_geom_idx",
    f"ALTER TABLE geo.{TABLE} ALTER geom TYPE geometry",
    "UPDATE geo.table_catalog SET published = false, published_at = NULL",
    HIDDEN,
    "UPDATE pgstac.items SET content = jsonb_set(content, '{properties,title}', '\"Better words\"')",
    "UPDATE pgstac.items SET content = content #- '{assets,data,roles}', geometry = ST_Translate(geometry, 1, 0)",
    SMALL,
    "UPDATE app.dataset_refs SET stac_item_id = stac_item_id || '-elsewhere'",
    "DELETE FROM app.dataset_refs",
    "UPDATE app.dataset_refs SET version_id = 'v9', resource_id = NULL",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_damaged_is_as_before_and_a_second_comparison_finds_nothing(healthy: Api, damage: str) -> None:
    before = catalogue(healthy)
    healthy.query(damage)
    damaged = catalogue(healthy)
    assert damaged != before
    compare(healthy)
    result = repair(healthy)
    assert result["failed"] == []
    assert len(result["repaired"]) == len(result["findings"]) > 0
    assert catalogue(healthy) == before
    assert compare(healthy)["counts"] == {}
    # And back: undone, the damage is there again, and nobody mends it a second time.
    for done in healthy.get(f"{ROUTE}/repairs")["repairs"]:
        answer = healthy.of("ada").post(f"{ROUTE}/repairs/{done['repair_id']}/undo")
        assert answer.status_code == 200, answer.text
    assert catalogue(healthy) == damaged
    compare(healthy)
    assert findings(healthy) == set()
    assert repair(healthy)["findings"] == []


def test_a_collection_that_ends_too_early_is_widened(healthy: Api) -> None:
    before = catalogue(healthy)
    healthy.query(SHORT)
    compare(healthy)
    repair(healthy)
    # Extents only grow: what is stated too early is not taken back.
    ends = {name: c["extent"]["temporal"]["interval"][0][1] for name, c in before["collections"].items()}
    healed = catalogue(healthy)["collections"]
    assert {name: c["extent"]["temporal"]["interval"][0][1] for name, c in healed.items()} == ends
    assert compare(healthy)["counts"] == {}


def test_a_restored_copy_of_a_file_is_recognised_by_its_checksum(healthy: Api) -> None:
    _, container, path = cog(healthy)
    name, storage = BlobName(container, path), healthy.runtime.storage
    data = storage.read(name)
    storage.put(data, name)
    compare(healthy)
    assert findings(healthy) == {("changed_blob", f"blob:{container}/{path}")}
    assert [r["object"] for r in repair(healthy)["repaired"]] == [f"blob:{container}/{path}"]
    assert compare(healthy)["counts"] == {}
    storage.put(data[:-1] + bytes([data[-1] ^ 1]), name)
    compare(healthy)
    [failed] = repair(healthy)["failed"]
    assert failed["object"] == f"blob:{container}/{path}"
    compare(healthy)
    [found] = healthy.get(f"{ROUTE}/findings")["findings"]
    assert (found["kind"], found["refused"]) == ("changed_blob", failed["reason"])
    assert repair(healthy)["findings"] == []
    assert heal(healthy) == 0


def test_what_needs_a_person_is_not_mended(healthy: Api) -> None:
    healthy.query(f"DROP TABLE geo.{TABLE}")
    compare(healthy)
    assert repair(healthy)["findings"] == []
    [found] = healthy.get(f"{ROUTE}/findings")["findings"]
    answer = healthy.of("ada").post(f"{ROUTE}/findings/{found['finding_id']}/repair")
    assert answer.status_code == 409
    assert "unpublish_vector" in answer.json()["hint"]


def test_what_the_public_sees_without_a_review_is_hidden(api: Api, hills: dict[str, str]) -> None:
    before = catalogue(api)
    api.query("UPDATE pgstac.items SET content = jsonb_set(content, '{properties,app:published}', 'true')")
    api.query("UPDATE geo.table_catalog SET published = true, published_at = now()")
    compare(api)
    assert {kind for kind, _ in findings(api)} == {"published_mismatch"}
    repair(api)
    assert catalogue(api) == before


def test_a_dry_run_changes_nothing(healthy: Api) -> None:
    healthy.query("DELETE FROM pgstac.items")
    compare(healthy)
    damaged = catalogue(healthy)
    assert len(repair(healthy, dry_run=True)["findings"]) == 2
    assert catalogue(healthy) == damaged
    assert healthy.get(f"{ROUTE}/repairs")["count"] == 0


def test_an_item_is_rebuilt_as_the_pipeline_wrote_it(healthy: Api) -> None:
    before = catalogue(healthy)
    cog_id = cog(healthy)[0]
    healthy.query("DELETE FROM pgstac.items")
    both = (("raster", cog_id), ("vector", TABLE))
    for kind, item in both:
        told = rebuild(healthy, data_type=kind, items=[item, "nothing"])["candidates"]
        assert {c["item"]: c["prospect"] for c in told} == {item: "rebuild", "nothing": "impossible"}
    assert catalogue(healthy)["items"] == {}
    for kind, item in both:
        assert len(rebuild(healthy, data_type=kind, items=[item], dry_run=False)["rebuilt"]) == 1
    assert catalogue(healthy) == before
    assert {r["by"] for r in healthy.get(f"{ROUTE}/repairs")["repairs"]} == {"rebuild_stac"}


def test_an_item_that_is_there_is_rebuilt_only_by_force_and_stays_published_without_a_review(healthy: Api) -> None:
    before = catalogue(healthy)
    cog_id = cog(healthy)[0]
    healthy.query("UPDATE pgstac.items SET content = jsonb_set(content, '{properties,title}', '\"spoiled\"')")
    [told] = rebuild(healthy, data_type="raster", items=[cog_id], dry_run=False)["candidates"]
    assert told["prospect"] == "exists"
    for kind, item in (("raster", cog_id), ("vector", TABLE)):
        rebuild(healthy, data_type=kind, items=[item], dry_run=False, force_recreate=True)
    assert catalogue(healthy) == before
    assert healthy.query("SELECT count(*) FROM app.held_effects") == [(0,)]


def test_a_repair_whose_object_was_changed_since_is_not_undone(healthy: Api) -> None:
    healthy.query("UPDATE geo.table_catalog SET feature_count = 17")
    compare(healthy)
    repair(healthy)
    [done] = healthy.get(f"{ROUTE}/repairs", object=f"table:{TABLE}")["repairs"]
    healthy.query("UPDATE geo.table_catalog SET title = 'Wells of the hills'")
    path = f"{ROUTE}/repairs/{done['repair_id']}/undo"
    assert healthy.of("ada").post(path).status_code == 409
    healthy.query("UPDATE geo.table_catalog SET title = %s", done["after"]["catalog"]["title"])
    assert healthy.of("ada").post(path).json()["repair"]["undone_by"] == "ada"
    assert healthy.of("ada").post(path).status_code == 409
    assert healthy.query("SELECT feature_count FROM geo.table_catalog") == [(17,)]


def heal(api: Api) -> int:
    return next(t for t in TIMERS if t.name == "heal").run(api.runtime)


def test_the_timer_repairs_only_findings_one_job_at_a_time_and_waits_after_it(healthy: Api) -> None:
    assert heal(healthy) == 0
    healthy.query("DELETE FROM app.dataset_refs")
    compare(healthy)
    assert [heal(healthy), heal(healthy)] == [1, 0]
    healthy.drain()
    assert compare(healthy)["counts"] == {}
    healthy.query("DELETE FROM app.dataset_refs")
    compare(healthy)
    assert heal(healthy) == 0
    healthy.query(
        "UPDATE app.jobs SET created_at = created_at - interval '2 hours' WHERE job_type = 'repair_stac_items'"
    )
    assert heal(healthy) == 1


def test_a_worker_that_dies_in_a_repair_leaves_it_to_another(healthy: Api) -> None:
    before = catalogue(healthy)
    healthy.query("DELETE FROM pgstac.items")
    compare(healthy)
    asked = healthy.of("ada").post(f"{ROUTE}/repair", json={"dry_run": False}).json()["job_id"]
    machine = healthy.runtime.worker("doomed", lease=0.01)
    [inventory] = healthy.claim(1, machine)
    machine.process(inventory)
    held = [*healthy.claim(1, machine), *healthy.claim(1, machine)]
    assert len(held) == 2
    outcomes = [machine.run(item, threading.Event()) for item in held]  # done, and killed before the commit
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert catalogue(healthy)["items"] == {}
    healthy.runtime.machine.sweep()
    healthy.drain()
    assert catalogue(healthy) == before
    for item, outcome in zip(held, outcomes, strict=True):
        machine.settle(item, outcome, 1)  # it was only asleep
    assert catalogue(healthy) == before
    assert healthy.get(f"{ROUTE}/repairs")["count"] == 2
    assert healthy.get(f"/api/jobs/status/{asked}")["status"] == "completed"


def test_a_worker_killed_in_the_middle_of_a_repair_changes_nothing_and_the_next_one_mends(
    healthy: Api, db: str, tmp_path: Path
) -> None:
    before = catalogue(healthy)
    healthy.query("DELETE FROM pgstac.items")
    compare(healthy)
    damaged = catalogue(healthy)
    floor = Floor(db, tmp_path)
    with floor.held("app.repairs", "INSERT"):  # by then the item is written
        asked = healthy.of("ada").post(f"{ROUTE}/repair", json={"dry_run": False}).json()["job_id"]
        doomed = floor.start()
        floor.until(floor.arrived, "no worker came to write a repair")
        floor.murder(doomed)
        assert catalogue(healthy) == damaged
    floor.start()
    ended = "SELECT status::text FROM app.jobs WHERE job_id = %s AND finished_at IS NOT NULL"
    floor.until(lambda: floor.query(ended, asked), "the job did not end")
    floor.close()
    assert floor.query(ended, asked) == [("completed",)]
    assert catalogue(healthy) == before
    assert healthy.get(f"{ROUTE}/repairs")["count"] == 2


def run(api: Api, job: str, **parameters: object) -> dict:
    answer = api.of("ada").post(f"/api/jobs/submit/{job}", json=parameters)
    assert answer.status_code in (200, 202), answer.text
    api.drain()
    return api.get(f"/api/jobs/status/{answer.json()['job_id']}")["resultData"]


def test_outputs_whose_record_was_lost_are_found_and_registered_again(healthy: Api, tmp_path: Path) -> None:
    _, container, path = cog(healthy)
    healthy.query("DELETE FROM app.cog_metadata")
    healthy.query("DELETE FROM pgstac.items WHERE content -> 'assets' -> 'data' ->> 'href' LIKE '%%.tif'")
    healthy.query(
        "UPDATE app.artifacts SET status = 'deleted', deleted_at = now(), files_deleted_at = now() - interval '1 d'"
    )
    healthy.runtime.storage.put(b"no raster", BlobName(container, "lost/notes.txt"))
    for file in (path, "lost/notes.txt"):
        os.utime(tmp_path / "storage" / container / file, (1_700_000_000, 1_700_000_000))
    found = run(healthy, "detect_orphan_blobs", container_name=container)
    assert {b["path"]: b["job_type"] for b in found["blobs"]} == {path: "register_silver_blobs", "lost/notes.txt": None}
    assert (found["total"], found["listed"], found["bytes"]) == (2, 2, sum(b["size"] for b in found["blobs"]))
    assert run(healthy, "detect_orphan_blobs", container_name=container, suffix=".TIF", limit=1)["total"] == 1
    asked = {
        "container_name": container,
        "blobs": [path, "lost/notes.txt", "not/there.tif"],
        "collection_id": "found",
        "access_level": "ouo",
    }
    described = run(healthy, "register_silver_blobs", **asked)
    assert described["cataloged"] == 0
    assert {f["blob_name"]: f["error_code"] for f in described["files"]} == {
        path: None,
        "lost/notes.txt": "UNREADABLE_SOURCE",
        "not/there.tif": "SOURCE_NOT_FOUND",
    }
    assert run(healthy, "register_silver_blobs", **asked, dry_run=False)["cataloged"] == 1
    assert healthy.query("SELECT stac_collection_id, blob_path FROM app.cog_metadata") == [("found", path)]
    compare(healthy)
    assert {kind for kind, _ in findings(healthy)} == {"orphan_blob"}


def test_outputs_outside_the_silver_zone_are_not_looked_at(api: Api) -> None:
    for job, body in (
        ("detect_orphan_blobs", {}),
        ("register_silver_blobs", {"blobs": ["a"], "collection_id": "c", "access_level": "ouo"}),
    ):
        answer = api.of("ada").post(f"/api/jobs/submit/{job}", json={"container_name": "bronze-rasters", **body})
        assert answer.status_code == 400
        assert "silver zone" in answer.json()["error"]


@pytest.fixture
def mosaicked(api: Api, tmp_path: Path) -> Api:
    """A collection of two COGs with a mosaic."""
    for number, name in enumerate(("old/a.tif", "old/b.tif")):
        put_cog(api, tmp_path, name, 400 * number)
    given = {"container_name": "silver-cogs", "collection_id": "old", "access_level": "ouo", "create_mosaicjson": True}
    assert run(api, "stac_catalog_container", **given)["mosaicjson"] is not None
    return api


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM pgstac.searches",
        "UPDATE pgstac.collections SET content = jsonb_set(content, '{assets,mosaicjson,app:members}', '\"other\"')",
        None,
    ],
)
def test_a_mosaic_that_is_gone_or_shows_other_items_is_written_again(mosaicked: Api, damage: str | None) -> None:
    compare(mosaicked)
    assert findings(mosaicked) == set()
    before = catalogue(mosaicked)
    href = before["collections"]["old"]["assets"]["mosaicjson"]["href"]  # type: ignore[index]
    name = mosaicked.runtime.storage.parse_href(href)
    assert name is not None
    mosaicked.query(damage) if damage else mosaicked.runtime.storage.delete(name)
    compare(mosaicked)
    assert findings(mosaicked) == {("stale_mosaic", "collection:old")}
    assert repair(mosaicked)["failed"] == []
    assert catalogue(mosaicked) == before
    assert mosaicked.runtime.storage.head(name)
    assert compare(mosaicked)["counts"] == {}


def test_a_lost_item_is_one_finding_and_its_mosaic_shows_it_again(mosaicked: Api) -> None:
    before = catalogue(mosaicked)
    mosaicked.query("DELETE FROM pgstac.items WHERE id = 'old-old-a'")
    compare(mosaicked)
    assert {kind for kind, _ in findings(mosaicked)} == {"record_without_stac_item"}
    repair(mosaicked)
    assert catalogue(mosaicked) == before
    assert compare(mosaicked)["counts"] == {}
