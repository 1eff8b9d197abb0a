"""Overwriting: what waits beside the published revision, what takes its place, and how long the old one is kept."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg

from core.contracts.outcomes import Done
from core.contracts.storage import BlobName
from core.machine.store import Finished
from infrastructure.storage.local import LocalStorage
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff

IDS = {"dataset_id": "towns", "resource_id": "r", "version_id": "v1"}
TABLE = "towns_r_v1"


def put_points(api: Api, *names: str) -> None:
    features = [
        {"type": "Feature", "properties": {"name": n}, "geometry": {"type": "Point", "coordinates": [30 + i, -2]}}
        for i, n in enumerate(names)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    api.runtime.storage.put(text.encode(), BlobName("bronze-vectors", "towns.geojson"))


def put_raster(api: Api, folder: Path, value: int) -> None:
    path = write_tiff(folder / "r.tif", np.full((64, 64), value, dtype=np.uint16))
    api.runtime.storage.upload(path, BlobName("bronze-rasters", "r.tif"))


def submit(api: Api, container: str, file: str, *, overwrite: bool = False, **changes: str) -> dict:
    body = {**IDS, "container_name": container, "file_name": file, **changes}
    body["processing_options"] = {"overwrite": overwrite}
    answer = api.of("ann").post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    api.drain()
    status = api.get(f"/api/platform/status/{answer.json()['request_id']}", "ann")
    assert status["job_status"] == "completed", status["job_error"]
    return status


def load(api: Api, *names: str, overwrite: bool = False) -> str:
    """Process a file of points; the approval."""
    put_points(api, *names)
    return submit(api, "bronze-vectors", "towns.geojson", overwrite=overwrite)["approval"]["approval_id"]


def decide(api: Api, approval: str, verb: str = "approve", **body: str) -> dict:
    answer = api.of("rita").post(f"/api/approvals/{approval}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def served(api: Api) -> list[str]:
    return [n for (n,) in api.query(f"SELECT name FROM geo.{TABLE} ORDER BY name")]


def revisions(api: Api) -> list[tuple[int, str]]:
    found = api.query("SELECT revision, status::text FROM app.artifacts ORDER BY revision")
    return [(int(r), str(s)) for r, s in found]


def shown(api: Api) -> bool:
    return api.query("SELECT published FROM geo.table_catalog WHERE table_name = %s", TABLE) == [(True,)]


def test_an_approved_table_is_served_until_its_next_revision_is_approved(api: Api) -> None:
    decide(api, load(api, "old"))
    second = load(api, "new", "newer", overwrite=True)
    assert (served(api), shown(api)) == (["old"], True)
    assert revisions(api) == [(1, "current"), (2, "draft")]
    api.runtime.tables.drop_abandoned()
    decide(api, second)
    assert (served(api), shown(api)) == (["new", "newer"], True)
    assert revisions(api) == [(1, "superseded"), (2, "current")]
    assert api.query("SELECT feature_count FROM geo.table_catalog WHERE table_name = %s", TABLE) == [(2,)]
    chain = api.query(
        "SELECT revision, supersedes IS NOT NULL, superseded_by IS NOT NULL FROM app.artifacts ORDER BY 1"
    )
    assert chain == [(1, False, True), (2, True, False)]


def test_a_published_table_is_not_replaced_under_another_item_which_nobody_would_review(api: Api) -> None:
    decide(api, load(api, "old"))
    put_points(api, "new")
    options = {"overwrite": True, "collection_id": "elsewhere"}
    body = {**IDS, "container_name": "bronze-vectors", "file_name": "towns.geojson", "processing_options": options}
    answer = api.of("ann").post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    api.drain()
    assert (served(api), shown(api)) == (["old"], True)
    status = api.get(f"/api/platform/status/{answer.json()['request_id']}", "ann")
    assert (status["job_status"], status["job_error"]["code"]) == ("failed", "CONFLICT")
    assert "item postgis-geo-towns_r_v1 of collection system-vectors" in status["job_error"]["message"]


def test_rows_that_wait_to_join_a_table_can_join_it_whoever_sees_it_meanwhile(api: Api) -> None:
    first = load(api, "old")
    decide(api, first)
    put_points(api, "more")
    body = {
        **IDS,
        "container_name": "bronze-vectors",
        "file_name": "towns.geojson",
        "processing_options": {"write_mode": "append"},
    }
    answer = api.of("ann").post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    api.drain()
    waiting_review = api.get(f"/api/platform/status/{answer.json()['request_id']}", "ann")["approval"]["approval_id"]
    decide(api, first, "revoke", reason="for a day")
    assert (served(api), shown(api)) == (["old"], False)
    decide(api, waiting_review)
    assert (served(api), shown(api)) == (["more", "old"], True)


def test_a_refused_revision_changes_nothing_that_is_served(api: Api) -> None:
    decide(api, load(api, "old"))
    second = load(api, "wrong", overwrite=True)
    decide(api, second, "reject", reason="not these")
    assert (served(api), shown(api)) == (["old"], True)
    decide(api, second, "resubmit")
    decide(api, second)
    assert served(api) == ["wrong"]


def test_a_third_revision_takes_the_place_of_the_second_in_review(api: Api) -> None:
    decide(api, load(api, "old"))
    second = load(api, "second", overwrite=True)
    third = load(api, "third", overwrite=True)
    assert revisions(api) == [(1, "current"), (2, "superseded"), (3, "draft")]
    refused = api.of("rita").post(f"/api/approvals/{second}/approve")
    assert (refused.status_code, "superseded" in refused.json()["error"]) == (409, True)
    decide(api, third)
    assert served(api) == ["third"]


def test_what_nobody_has_approved_is_replaced_at_once_and_reviewed_anew(api: Api) -> None:
    first = load(api, "old")
    second = load(api, "new", overwrite=True)
    assert served(api) == ["new"]
    assert revisions(api) == [(1, "superseded"), (2, "current")]
    assert api.get(f"/api/approvals/{first}")["status"] == "superseded"
    decide(api, second)
    assert shown(api)


def test_a_replaced_revision_can_be_brought_back_and_is_reviewed_first(api: Api) -> None:
    decide(api, load(api, "old"))
    decide(api, load(api, "new", overwrite=True))
    [(collection, item)] = api.query("SELECT DISTINCT stac_collection_id, stac_item_id FROM app.artifacts")
    listed = api.get("/api/artifacts", "rita", collection_id=collection, item_id=item)["artifacts"]
    assert [(a["revision"], a["status"], a["tables"]) for a in listed] == [
        (2, "current", [f"geo.{TABLE}"]),
        (1, "superseded", [f"geo.{TABLE}"]),
    ]
    answer = api.of("ada").post(f"/api/admin/artifacts/{listed[1]['artifact_id']}/restore")
    assert answer.status_code == 202, answer.text
    assert served(api) == ["new"]
    decide(api, answer.json()["approval_id"])
    assert (served(api), shown(api)) == (["old"], True)
    assert revisions(api) == [(1, "superseded"), (2, "superseded"), (3, "current")]
    again = api.of("ada").post(f"/api/admin/artifacts/{listed[1]['artifact_id']}/restore")
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")


def waiting(api: Api) -> int:
    rows = api.query("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%%\\_\\_stg\\_h%%'")
    return int(rows[0][0])


def test_replaced_revisions_go_after_their_time_and_not_before(api: Api) -> None:
    decide(api, load(api, "old"))
    decide(api, load(api, "new", overwrite=True))
    assert api.runtime.revisions.expire() == 0
    assert waiting(api) == 1
    api.query("UPDATE app.artifacts SET superseded_at = now() - interval '31 days' WHERE status = 'superseded'")
    assert api.runtime.revisions.expire() == 1
    assert (waiting(api), served(api)) == (0, ["new"])
    assert revisions(api) == [(1, "deleted"), (2, "current")]
    assert api.runtime.revisions.expire() == 0


def test_a_raster_revision_waits_with_a_file_of_its_own(api: Api, tmp_path: Path) -> None:
    put_raster(api, tmp_path, 1)
    first = submit(api, "bronze-rasters", "r.tif")
    decide(api, first["approval"]["approval_id"])

    def item() -> dict:
        return api.query("SELECT pgstac.get_item('towns-r-v1', 'towns')")[0][0]

    before = item()
    put_raster(api, tmp_path, 2)
    second = submit(api, "bronze-rasters", "r.tif", overwrite=True)
    assert item() == before
    decide(api, second["approval"]["approval_id"])
    after = item()
    assert after["assets"]["data"]["href"] != before["assets"]["data"]["href"]
    assert after["properties"]["app:published"] is True
    storage = api.runtime.storage
    assert isinstance(storage, LocalStorage)
    old, new = (storage.parse_href(i["assets"]["data"]["href"]) for i in (before, after))
    assert old is not None and new is not None
    assert storage.head(old).size > 0
    api.query("UPDATE app.artifacts SET superseded_at = now() - interval '31 days' WHERE status = 'superseded'")
    assert api.runtime.revisions.expire() == 1
    assert [b.name for b in storage.list("silver-cogs")] == [new]


def mosaic(api: Api) -> set[str] | None:
    """The COGs that the collection's MosaicJSON lists."""
    [(asset,)] = api.query("SELECT content -> 'assets' -> 'mosaicjson' FROM pgstac.collections")
    if asset is None:
        return None
    storage = api.runtime.storage
    document = json.loads(storage.read(storage.parse_href(asset["href"])))
    return {href for hrefs in document["tiles"].values() for href in hrefs}


def cogs(api: Api) -> dict[str, str]:
    return dict(api.query("SELECT id, content -> 'assets' -> 'data' ->> 'href' FROM pgstac.items"))


def put_pair(api: Api, folder: Path, value: int) -> str:
    """Two rasters as one collection with a mosaic; the approval."""
    for place, name in enumerate(("a.tif", "b.tif")):
        pixels = np.full((64, 64), value, dtype=np.uint16)
        path = write_tiff(folder / name, pixels, transform=UTM * UTM.translation(64 * place, 0))
        api.runtime.storage.upload(path, BlobName("bronze-rasters", name))
    options = {"overwrite": value > 1, "create_mosaicjson": True}
    body = {**IDS, "container_name": "bronze-rasters", "file_name": ["a.tif", "b.tif"], "processing_options": options}
    answer = api.of("ann").post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    api.drain()
    status = api.get(f"/api/platform/status/{answer.json()['request_id']}", "ann")
    assert status["job_status"] == "completed", status["job_error"]
    return status["approval"]["approval_id"]


def test_a_collection_made_again_waits_whole_and_takes_its_place_with_its_mosaic(api: Api, tmp_path: Path) -> None:
    decide(api, put_pair(api, tmp_path, 1))
    before = cogs(api)
    second = put_pair(api, tmp_path, 2)
    assert cogs(api) == before and mosaic(api) == set(before.values())
    assert api.query("SELECT count(*) FROM app.cog_metadata") == [(2,)]
    decide(api, second)
    after = cogs(api)
    assert set(after) == set(before) and not set(after.values()) & set(before.values())
    assert mosaic(api) == set(after.values())
    assert api.query("SELECT DISTINCT content -> 'properties' ->> 'app:published' FROM pgstac.items") == [("true",)]
    assert api.query("SELECT count(*) FROM app.held_effects h JOIN app.artifacts a USING (artifact_id) "
                     "WHERE a.status <> 'superseded'") == [(0,)]  # fmt: skip


def test_a_collection_that_was_extended_while_its_draft_waited_is_not_approved_with_its_mosaic(
    api: Api, tmp_path: Path
) -> None:
    decide(api, put_pair(api, tmp_path, 1))
    second = put_pair(api, tmp_path, 2)
    before = cogs(api)
    put_raster(api, tmp_path, 5)
    given = {"container_name": "bronze-rasters", "blob_name": "r.tif", "collection_id": "towns"}
    api.submit("process_raster_v2", by="ada", **given, access_level="ouo")
    api.drain()
    refused = api.of("rita").post(f"/api/approvals/{second}/approve", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "APPROVAL_FAILED") and "again" in refused.text
    now = cogs(api)
    assert len(now) == 3 and before.items() < now.items() and mosaic(api) == set(now.values())
    decide(api, put_pair(api, tmp_path, 3))
    assert not set(before.values()) & set(cogs(api).values()) and mosaic(api) == set(cogs(api).values())


def test_a_rejected_draft_of_a_collection_changes_nothing(api: Api, tmp_path: Path) -> None:
    decide(api, put_pair(api, tmp_path, 1))
    before = cogs(api)
    decide(api, put_pair(api, tmp_path, 2), "reject", reason="No.")
    assert cogs(api) == before and mosaic(api) == set(before.values())


def test_a_raster_brought_back_lets_the_mosaic_go_that_does_not_list_it(api: Api, tmp_path: Path) -> None:
    decide(api, put_pair(api, tmp_path, 1))
    old = cogs(api)
    decide(api, put_pair(api, tmp_path, 2))
    item = min(old)
    [(artifact,)] = api.query(
        "SELECT artifact_id FROM app.artifacts WHERE status = 'superseded' AND stac_item_id = %s", item
    )
    assert api.of("ada").post(f"/api/admin/artifacts/{artifact}/restore").status_code == 202
    [(review,)] = api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
    decide(api, review)
    assert cogs(api)[item] == old[item] and mosaic(api) is None


def test_the_artifact_says_which_bytes_it_was_made_from(api: Api) -> None:
    load(api, "one")
    etag = api.runtime.storage.head(BlobName("bronze-vectors", "towns.geojson")).etag
    (row,) = api.query("SELECT source_container, source_path, source_etag, dataset_id, revision FROM app.artifacts")
    assert row == ("bronze-vectors", "towns.geojson", etag, "towns", 1)


def test_an_approval_that_came_too_late_publishes_nothing_of_the_newer_revision(api: Api) -> None:
    first = load(api, "old")
    put_points(api, "new")
    body = {
        **IDS,
        "container_name": "bronze-vectors",
        "file_name": "towns.geojson",
        "processing_options": {"overwrite": True},
    }
    assert api.of("ann").post("/api/platform/submit", json=body).status_code == 202
    machine = api.runtime.machine
    claimed = api.claim(10)
    while not any(c.task_type == "vector_create_stac" for c in claimed):
        for item in claimed:
            machine.process(item)
        claimed = api.claim(10)
    # The last task is done and its job has not ended: the catalogue holds the new rows, the old review is still open.
    outcome = machine.run(claimed[0], threading.Event())
    assert isinstance(outcome, Done)
    machine.store.complete(machine.worker, 60, Finished(claimed[0], outcome.output_json, 1), outcome.effects)
    refused = api.of("rita").post(f"/api/approvals/{first}/approve")
    assert (refused.status_code, "made again" in refused.json()["error"]) == (409, True)
    assert not shown(api)


def test_twenty_approvals_at_once_put_a_revision_in_place_once(api: Api) -> None:
    decide(api, load(api, "old"))
    second = load(api, "new", overwrite=True)
    with ThreadPoolExecutor(20) as pool:
        client = api.of("rita")
        answers = list(pool.map(lambda _: client.post(f"/api/approvals/{second}/approve").status_code, range(20)))
    assert sorted(answers) == [200] + [409] * 19
    assert (served(api), revisions(api)) == (["new"], [(1, "superseded"), (2, "current")])


def test_a_table_that_somebody_reads_is_not_waited_for_without_end(api: Api) -> None:
    decide(api, load(api, "old"))
    second = load(api, "new", overwrite=True)
    with psycopg.connect(api.db) as reader:
        reader.execute(f"SELECT * FROM geo.{TABLE}")
        answer = api.of("rita").post(f"/api/approvals/{second}/approve")
    assert (answer.status_code, answer.json()["code"]) == (503, "TARGET_CHANGED"), answer.text
    assert (served(api), shown(api)) == (["old"], True)
    decide(api, second)
    assert served(api) == ["new"]


def test_a_replaced_table_that_somebody_reads_keeps_no_other_from_going(api: Api) -> None:
    decide(api, load(api, "old"))
    decide(api, load(api, "new", overwrite=True))
    api.query("UPDATE app.artifacts SET superseded_at = now() - interval '31 days' WHERE status = 'superseded'")
    [(aside,)] = api.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE '%%\\_\\_stg\\_h%%'")
    with psycopg.connect(api.db) as reader:
        reader.execute(f"SELECT * FROM geo.{aside}")
        assert (api.runtime.revisions.expire(), waiting(api)) == (0, 1)
    assert (api.runtime.revisions.expire(), waiting(api)) == (1, 0)
