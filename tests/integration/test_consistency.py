"""The reconciler: what it reports of a catalogue that was damaged, and that it reports nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.hills import POINT, RASTER, VECTOR, approve
from tests.support.raster import UTM, write_tiff
from triggers.timers import TIMERS

ROUTE = "/api/admin/consistency"
TABLE = "hills_wells_v1"
ALL_TABLES = {"data_type": "vector", "items": [TABLE]}


def compare(api: Api, scope: str = "full") -> dict:
    answer = api.of("ada").post(f"{ROUTE}/run", json={"scope": scope})
    assert answer.status_code == 202, answer.text
    api.drain()
    status = api.get(f"/api/jobs/status/{answer.json()['job_id']}")
    assert status["status"] == "completed", status
    return status["resultData"]["compared"]


def findings(api: Api, **query: object) -> set[tuple[str, str]]:
    return {(f["kind"], f["object"]) for f in api.get(f"{ROUTE}/findings", limit=500, **query)["findings"]}


def cog(api: Api) -> tuple[str, str, str]:
    [row] = api.query("SELECT cog_id, container, blob_path FROM app.cog_metadata")
    return row


@pytest.fixture
def healthy(api: Api, hills: dict[str, str]) -> Api:
    for job in hills.values():
        approve(api, job)
    return api


def test_a_healthy_catalogue_has_no_findings(healthy: Api) -> None:
    compared = compare(healthy)
    assert findings(healthy) == set()
    assert (compared["items"], compared["tables"], compared["blobs"]) == (2, 1, 1)
    assert compared["counts"] == {}


def test_replaced_rejected_and_unpublished_data_leave_nothing_that_disagrees(healthy: Api, tmp_path: Path) -> None:
    def submit(ids: dict[str, str], container: str, file: str) -> str:
        options = {"overwrite": True}
        body = {**ids, "container_name": container, "file_name": file, "access_level": "public"}
        answer = healthy.of("ann").post("/api/platform/submit", json={**body, "processing_options": options})
        assert answer.status_code == 202, answer.text
        healthy.drain()
        return str(answer.json()["job_id"])

    lower = write_tiff(tmp_path / "lower.tif", np.full((70, 60), 500, "float32"), transform=UTM)
    healthy.runtime.storage.upload(lower, BlobName("bronze-rasters", "dem.tif"))
    moved = {**POINT, "geometry": {"type": "Point", "coordinates": [31.5, -3.25]}}
    body = json.dumps({"type": "FeatureCollection", "features": [POINT, moved]}).encode()
    healthy.runtime.storage.put(body, BlobName("bronze-vectors", "wells.geojson"))
    jobs = [submit(RASTER, "bronze-rasters", "dem.tif"), submit(VECTOR, "bronze-vectors", "wells.geojson")]
    compare(healthy)
    assert findings(healthy) == set(), "while the new revisions wait"
    approve(healthy, jobs[0])
    rejected = healthy.of("ada").post("/api/platform/reject", json={"job_id": jobs[1], "reason": "one too many"})
    assert rejected.status_code == 200, rejected.text
    compare(healthy)
    assert findings(healthy) == set(), "once one is published and the other refused"
    taken = healthy.of("ada").post("/api/platform/unpublish", json={**RASTER, "dry_run": False, "force_approved": True})
    assert taken.status_code in (200, 202), taken.text
    healthy.drain()
    compare(healthy)
    assert findings(healthy) == set(), "once a dataset was taken back"


def test_what_reviews_styles_and_repairs_write_is_no_change_of_an_item(healthy: Api) -> None:
    [cog_id, _, _], ada = cog(healthy), healthy.of("ada")
    done = [
        ada.post(
            f"/api/raster/{quote(cog_id)}/renders", json={"render_id": "dim", "title": "D", "render": {"bidx": [1]}}
        ),
        ada.post("/api/jobs/submit/rebuild_stac", json={**ALL_TABLES, "dry_run": False, "force_recreate": True}),
    ]
    healthy.drain()
    for approval in healthy.get("/api/approvals")["approvals"]:
        done.append(ada.post(f"/api/approvals/{approval['approval_id']}/revoke", json={"reason": "a mistake"}))
    assert [answer.status_code for answer in done] == [201, 202, 200, 200], [answer.text for answer in done]
    compare(healthy)
    assert findings(healthy) == set()


def test_an_item_that_a_tool_wrote_again_is_found_even_where_its_document_is_the_same(healthy: Api) -> None:
    healthy.query("SELECT pgstac.upsert_item(pgstac.get_item(id, collection)) FROM pgstac.items")
    compare(healthy)
    assert {kind for kind, _ in findings(healthy)} == {"changed_item"}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            "DELETE FROM pgstac.items WHERE id = (SELECT stac_item_id FROM app.cog_metadata)",
            ("record_without_stac_item", "cog"),
        ),
        (
            f"DELETE FROM pgstac.items WHERE content -> 'properties' ->> 'postgis:table' = '{TABLE}'",
            ("record_without_stac_item", "table"),
        ),
        ("DELETE FROM app.cog_metadata", ("stac_item_without_record", "item")),
        (f"DELETE FROM geo.table_catalog; DROP TABLE geo.{TABLE}", ("stac_item_without_record", "table_item")),
        ("UPDATE app.cog_metadata SET stac_item_id = 'elsewhere'", ("broken_backlink", "cog")),
        ("UPDATE geo.table_catalog SET stac_item_id = NULL", ("broken_backlink", "table")),
        (f"DROP TABLE geo.{TABLE}", ("catalog_row_without_table", "table")),
        ("CREATE TABLE geo.stray (id int, geom geometry(Point, 4326))", ("table_without_catalog_row", "stray")),
        ("UPDATE geo.table_catalog SET bbox_maxx = bbox_maxx + 1", ("wrong_extent", "table")),
        (f"UPDATE geo.{TABLE} SET geom = ST_Translate(geom, 0, 1)", ("wrong_extent", "table")),
        (f"INSERT INTO geo.{TABLE} SELECT id + 1, n, geom FROM geo.{TABLE}", ("wrong_count", "table")),
        ("UPDATE geo.table_catalog SET srid = 3857", ("wrong_srid", "table")),
        (f"ALTER TABLE geo.{TABLE} ALTER geom TYPE geometry", ("untyped_geometry", "table")),
        (f"DROP INDEX geo.{TABLE}_geom_idx", ("missing_spatial_index", "table")),
        ("UPDATE geo.table_catalog SET published = false", ("published_mismatch", "table_item")),
        (
            "UPDATE pgstac.items SET content = jsonb_set(content, '{properties,app:published}', 'false')"
            " WHERE id = (SELECT stac_item_id FROM app.cog_metadata)",
            ("published_mismatch", "item"),
        ),
        (
            "UPDATE pgstac.collections SET content = jsonb_set(content, '{extent,spatial,bbox}', '[[0,0,1,1]]')"
            " WHERE id IN (SELECT stac_collection_id FROM app.cog_metadata)",
            ("stale_collection_extent", "collection"),
        ),
        ("UPDATE app.dataset_refs SET stac_item_id = 'elsewhere' WHERE cog_id IS NOT NULL", ("dangling_ref", "ref")),
        (
            "DELETE FROM pgstac.items WHERE id = (SELECT stac_item_id FROM app.cog_metadata);"
            " DELETE FROM app.dataset_refs WHERE cog_id IS NOT NULL; DELETE FROM app.cog_metadata",
            ("stale_revision", "revision"),
        ),
        (
            "UPDATE app.artifacts SET tables = '[\"geo.another\"]' WHERE tables <> '[]'",
            ("stale_revision", "table_revision"),
        ),
        (
            "UPDATE app.artifacts SET files = '[\"https://example.org/a.tif\"]' WHERE tables = '[]'",
            ("stale_revision", "revision"),
        ),
        ("DELETE FROM app.dataset_refs WHERE table_name IS NOT NULL", ("missing_ref", "table")),
    ],
)
def test_each_damage_is_reported_once_and_nothing_else(healthy: Api, damage: str, expected: tuple[str, str]) -> None:
    cog_id = cog(healthy)[0]
    collection, item = cog_id.split(":")
    [(table_collection, table_item)] = healthy.query("SELECT stac_collection_id, stac_item_id FROM geo.table_catalog")
    healthy.query(damage)
    compare(healthy)
    named = {
        "cog": f"cog:{cog_id}",
        "item": f"item:{collection}/{item}",
        "table": f"table:{TABLE}",
        "table_item": f"item:{table_collection}/{table_item}",
        "stray": "table:stray",
        "revision": f"revision:{collection}/{item}",
        "table_revision": f"revision:{table_collection}/{table_item}",
        "ref": f"ref:{collection}/elsewhere",
        "collection": f"collection:{collection}",
    }
    assert {(k, o) for k, o in findings(healthy)} == {(expected[0], named[expected[1]])}


@pytest.mark.parametrize(
    ("damage", "kind"), [("delete", "missing_blob"), ("grow", "changed_blob"), ("rewrite", "changed_blob")]
)
def test_a_damaged_file_is_reported(healthy: Api, damage: str, kind: str) -> None:
    _, container, path = cog(healthy)
    name, storage = BlobName(container, path), healthy.runtime.storage
    data = storage.read(name)
    if damage == "delete":
        storage.delete(name)
    else:
        storage.put(data + b"x" if damage == "grow" else data[:-1] + b"\0", name)
    compare(healthy)
    assert findings(healthy) == {(kind, f"blob:{container}/{path}")}


def test_an_output_that_nothing_speaks_of_is_reported_once_it_is_old(healthy: Api, tmp_path: Path) -> None:
    healthy.runtime.storage.put(b"left", BlobName("silver-cogs", "lost/file.tif"))
    compare(healthy)
    assert findings(healthy) == set()
    age(tmp_path / "storage/silver-cogs/lost/file.tif")
    compare(healthy)
    assert findings(healthy) == {("orphan_blob", "blob:silver-cogs/lost/file.tif")}


def age(path: Path) -> None:
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_what_a_failed_job_made_waits_for_its_retry(healthy: Api, tmp_path: Path) -> None:
    healthy.runtime.storage.put(b"made", BlobName("silver-cogs", "made/file.tif"))
    age(tmp_path / "storage/silver-cogs/made/file.tif")
    job = healthy.submit("probe_heavy", name="x")
    healthy.query(
        "UPDATE app.tasks SET parameters = %s WHERE job_key = (SELECT job_key FROM app.jobs WHERE job_id = %s)",
        '{"blob_name": "made/file.tif"}',
        job,
    )
    healthy.query("SELECT app.cancel_job(job_key, 'ann', 'no') FROM app.jobs WHERE job_id = %s", job)
    compare(healthy)
    assert findings(healthy) == set()


def test_a_finding_is_gone_when_it_is_mended_and_the_same_one_when_it_comes_back(healthy: Api) -> None:
    wrong = "UPDATE geo.table_catalog SET feature_count = feature_count + %s"
    healthy.query(wrong, 1)
    assert compare(healthy)["opened"] == 1
    assert compare(healthy)["opened"] == 0
    healthy.query(wrong, -1)
    assert compare(healthy)["closed"] == 1
    assert findings(healthy) == set()
    assert findings(healthy, state="gone") == {("wrong_count", f"table:{TABLE}")}
    healthy.query(wrong, 1)
    assert compare(healthy)["opened"] == 1
    assert healthy.get(f"{ROUTE}/findings")["open"] == {"wrong_count": 1}


def test_a_dismissed_finding_stays_so_until_it_was_gone(healthy: Api) -> None:
    healthy.query("UPDATE geo.table_catalog SET feature_count = 7")
    compare(healthy)
    [found] = healthy.get(f"{ROUTE}/findings")["findings"]
    path = f"{ROUTE}/findings/{found['finding_id']}"
    body = {"reason": "The owner knows."}
    assert healthy.of("ada").post(f"{path}/dismiss", json=body).json()["finding"]["dismissed_by"] == "ada"
    assert healthy.of("ada").post(f"{path}/dismiss", json=body).status_code == 409
    compare(healthy)
    assert healthy.get(path)["finding"]["state"] == "dismissed"
    healthy.query("UPDATE geo.table_catalog SET feature_count = 1")
    compare(healthy)
    assert healthy.get(path)["finding"]["state"] == "gone"


def test_a_smaller_comparison_leaves_the_other_findings_alone(healthy: Api) -> None:
    healthy.query("DELETE FROM app.dataset_refs WHERE table_name IS NOT NULL")
    healthy.query("CREATE TABLE geo.stray (id int, geom geometry(Point, 4326))")
    compare(healthy)
    healthy.query("DROP TABLE geo.stray")
    assert compare(healthy, "geo_integrity")["closed"] == 0
    assert compare(healthy, "geo_orphans")["closed"] == 1
    assert findings(healthy) == {("missing_ref", f"table:{TABLE}")}
    assert [r["scope"] for r in healthy.get(f"{ROUTE}/runs")["runs"]] == ["geo_orphans", "geo_integrity", "full"]


def test_a_table_is_read_again_only_when_it_changed(healthy: Api) -> None:
    def measured() -> int:
        job = healthy.of("ada").post(f"{ROUTE}/run").json()["job_id"]
        healthy.drain()
        return healthy.get(f"/api/jobs/status/{job}")["resultData"]["measured"]["measured"]

    assert [measured(), measured()] == [1, 0]
    healthy.query(f"INSERT INTO geo.{TABLE} SELECT id + 1, n, geom FROM geo.{TABLE}")
    assert measured() == 1


def test_a_timer_that_fires_on_two_hosts_compares_once(healthy: Api) -> None:
    timer = next(t for t in TIMERS if t.name == "consistency")
    assert timer.run(healthy.runtime) == 1
    healthy.drain()
    assert timer.run(healthy.runtime) == 0
    healthy.drain()
    assert len(healthy.get(f"{ROUTE}/runs")["runs"]) == 1


def test_work_under_way_is_no_drift(healthy: Api, tmp_path: Path) -> None:
    """A draft waits beside the published table, and a replaced table is kept: neither is a finding."""
    body = {
        **VECTOR,
        "container_name": "bronze-vectors",
        "file_name": "wells.geojson",
        "processing_options": {"overwrite": True},
    }
    text = json.dumps({"type": "FeatureCollection", "features": [POINT, POINT]})
    healthy.runtime.storage.put(text.encode(), BlobName("bronze-vectors", "wells.geojson"))
    answer = healthy.of("ann").post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    healthy.drain()
    compare(healthy)
    assert findings(healthy) == set()
    approve(healthy, answer.json()["job_id"])
    compare(healthy)
    assert findings(healthy) == set()
