"""Cancel, retry, resubmit and delete over HTTP, and who may."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from core.contracts.storage import BlobName
from core.errors import StorageUnavailable
from infrastructure.storage.local import LocalStorage
from tests.support.api import Api
from tests.support.serving import CONTAINER, Catalogue


def post(api: Api, path: str, body: dict | None = None, *, by: str = "ann") -> httpx.Response:
    return api.of(by).post(path, json=body)


def delete(api: Api, job: str, *, by: str = "ann", **query: object) -> httpx.Response:
    return api.of(by).delete(f"/api/jobs/{job}", params=query)


def test_a_cancelled_job_runs_nothing_more_and_says_who_stopped_it(api: Api) -> None:
    job = api.submit(name="stop", widths=[3, 1, 1])
    [held] = api.claim()
    answer = post(api, f"/api/jobs/{job}/cancel", {"reason": "wrong file"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    api.runtime.machine.process(held)  # the worker that had it writes nothing any more
    assert api.drain() == 0
    status = api.get(f"/api/jobs/status/{job}")
    assert (status["status"], status["waiting_for"]) == ("cancelled", None)
    assert status["taskSummary"]["cancelled"] == 3
    [event] = api.get(f"/api/jobs/{job}/events", event_type="job_cancelled")["events"]
    assert event["event_data"] == {"by": "ann", "reason": "wrong file"}
    again = post(api, f"/api/jobs/{job}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    assert "cancelled already" in again.json()["error"]


def test_a_cancelled_task_is_a_failure_to_a_job_that_allows_none(api: Api) -> None:
    job = api.submit(name="one", widths=[2, 1, 1])
    assert post(api, f"/api/jobs/{job}/tasks/1/7/cancel").status_code == 404
    answer = post(api, f"/api/jobs/{job}/tasks/1/0/cancel", {"reason": "never ends"})
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert api.get(f"/api/jobs/status/{job}")["errorDetails"]["code"] == "TASK_CANCELLED"
    assert post(api, f"/api/jobs/{job}/tasks/1/0/cancel").status_code == 409


def test_a_job_that_may_lose_some_goes_on_without_a_cancelled_task(api: Api) -> None:
    job = api.submit("probe_light_partial", name="some", widths=[1, 3, 1])
    api.runtime.machine.process(api.claim()[0])
    answer = post(api, f"/api/jobs/{job}/tasks/2/1/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "processing")
    api.drain()
    status = api.get(f"/api/jobs/status/{job}")
    assert status["status"] == "completed_with_errors"
    stage = status["taskSummary"]["by_stage"]["2"]
    assert (stage["completed"], stage["failed"]) == (2, 1)
    assert api.get(f"/api/jobs/{job}/events/summary")["by_type"]["task_completed"] == 4


def test_retry_runs_only_what_failed_and_keeps_the_rest(api: Api) -> None:
    job = api.submit("probe_light_collect", name="again", widths=[1, 4, 1], behaviour="permanent")
    assert post(api, f"/api/jobs/{job}/retry").status_code == 409
    api.drain()
    answer = post(api, f"/api/jobs/{job}/retry")
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["run"], made["previous_run"], made["stage"], made["reopened"]) == (2, 1, 2, 1)
    status = api.get(f"/api/jobs/status/{job}")
    assert status["taskSummary"]["by_stage"]["2"]["completed"] == 3
    assert status["progress"] == pytest.approx(100 * 1.75 / 3, abs=0.1)
    api.drain()
    told = api.get(f"/api/jobs/{job}/events/summary")
    assert told["by_type"].get("task_completed", 0) == 0
    assert api.get(f"/api/jobs/{job}/events", event_type="job_created")["events"][0]["event_data"]["by"] == "ann"
    assert [r["status"] for r in api.get(f"/api/jobs/{job}/runs")["runs"]] == ["failed", "failed"]


def test_resubmit_does_all_of_a_finished_job_again(api: Api) -> None:
    job = api.submit(name="whole", widths=[1, 2, 1])
    running = post(api, f"/api/jobs/{job}/resubmit")
    assert (running.status_code, running.json()["code"]) == (409, "CONFLICT")
    assert "force" in running.json()["hint"]
    api.drain()
    dry = post(api, f"/api/jobs/{job}/resubmit", {"dry_run": True, "delete_blobs": True})
    assert (dry.status_code, dry.json()["dry_run"], dry.json()["run"]) == (200, True, 1)
    answer = post(api, f"/api/jobs/{job}/resubmit")
    assert answer.status_code == 202
    assert answer.json()["original_job_id"] == answer.json()["new_job_id"] == job
    assert answer.json()["run"] == 2
    api.drain()
    runs = api.get(f"/api/jobs/{job}/runs")["runs"]
    assert [(r["run"], r["status"], r["submitted_by"]) for r in runs] == [
        (2, "completed", "ann"),
        (1, "completed", "ann"),
    ]
    [told] = api.get(f"/api/jobs/{job}/events", event_type="status_update")["events"]
    assert told["event_data"] == {"by": "ann", "run": 1}


def test_force_cancels_a_running_job_before_it_runs_again(api: Api) -> None:
    job = api.submit(name="busy", widths=[2, 1, 1])
    [held] = api.claim()
    assert post(api, f"/api/jobs/{job}/resubmit", {"force": True}).status_code == 202
    api.runtime.machine.process(held)
    api.drain()
    assert [r["status"] for r in api.get(f"/api/jobs/{job}/runs")["runs"]] == ["completed", "cancelled"]
    unknown = post(api, f"/api/jobs/{job}/resubmit", {"forse": True})
    assert (unknown.status_code, "forse" in unknown.json()["error"]) == (400, True)


@pytest.fixture
def shelf(api: Api) -> Catalogue:
    """The catalogue beside the API."""
    storage = api.runtime.storage
    assert isinstance(storage, LocalStorage)
    return Catalogue(api.db, storage)


def made_by_a_job(api: Api, shelf: Catalogue, *, published: bool = False) -> str:
    """A finished job with a COG, its item, and a feature table; its id."""
    job = api.submit(name="maker")
    api.drain()
    shelf.collection("relief")
    shelf.collection("tables")
    shelf.item("relief", "hills", published=published, assets={"data": shelf.cog("relief/hills.tif")})
    shelf.cog_row("relief/hills.tif", "relief", "hills")
    shelf.run("UPDATE app.cog_metadata SET etl_job_id = %s", job)
    shelf.table("roads", published=published)
    shelf.run(
        "INSERT INTO app.vector_etl_tracking (table_name, etl_job_id, status) VALUES ('roads', %s, 'completed')", job
    )
    return job


def left(api: Api) -> dict[str, int]:
    """What of it is still there."""
    counts = {
        "jobs": "SELECT count(*) FROM app.jobs",
        "tasks": "SELECT count(*) FROM app.tasks",
        "events": "SELECT count(*) FROM app.job_events",
        "items": "SELECT count(*) FROM pgstac.items",
        "cogs": "SELECT count(*) FROM app.cog_metadata",
        "tables": "SELECT count(*) FROM pg_tables WHERE schemaname = 'geo' AND tablename = 'roads'",
        "catalog": "SELECT count(*) FROM geo.table_catalog",
    }
    return {name: api.query(sql)[0][0] for name, sql in counts.items() if api.query(sql)[0][0]}


def test_a_job_is_deleted_with_all_it_made_and_a_dry_run_says_so_first(api: Api, shelf: Catalogue) -> None:
    job = made_by_a_job(api, shelf)
    unsure = delete(api, job)
    assert (unsure.status_code, "confirm=yes" in unsure.json()["error"]) == (400, True)
    plan = delete(api, job, dry_run=True, delete_artifacts=True).json()["cleanup_summary"]
    before = left(api)
    answer = delete(api, job, confirm="yes", delete_artifacts=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["cleanup_summary"] == plan
    assert plan["stac_items_deleted"] == ["relief/hills", "tables/roads"]
    assert plan["tables_dropped"] == ["geo.roads"]
    assert plan["blobs_deleted"] == [f"{CONTAINER}/relief/hills.tif"]
    assert (plan["job_deleted"], plan["runs_deleted"], plan["tasks_deleted"]) == (True, 1, 5)
    assert before["tasks"] == 5
    assert left(api) == {}
    assert not list(Path(shelf.storage._root).rglob("*.tif"))
    assert delete(api, job, confirm="yes").status_code == 404


def test_without_artifacts_only_the_rows_go(api: Api, shelf: Catalogue) -> None:
    job = made_by_a_job(api, shelf)
    assert delete(api, job, confirm="yes").status_code == 200
    assert left(api) == {"items": 2, "cogs": 1, "tables": 1, "catalog": 1}


def test_what_the_public_sees_is_not_deleted_but_by_an_admin_with_force(api: Api, shelf: Catalogue) -> None:
    job = made_by_a_job(api, shelf, published=True)
    api.query(
        "WITH made AS (INSERT INTO app.dataset_approvals"
        " (approval_id, job_id, job_key, job_type, status, subject, revision, stac_collection_id, stac_item_id,"
        " reviewer, reviewed_at)"
        " SELECT 'apr-' || repeat('0', 32), job_id, job_key, job_type, 'approved', 'hills', 1, 'relief', 'hills',"
        " 'rita', now() FROM app.jobs RETURNING approval_id)"
        " INSERT INTO app.approval_items SELECT approval_id, 'relief', 'hills', 'published' FROM made"
    )
    before = left(api)
    for by, query in (("ann", {}), ("ann", {"force": True}), ("ada", {})):
        refused = delete(api, job, by=by, confirm="yes", delete_artifacts=True, **query)
        assert (refused.status_code, "relief/hills" in refused.json()["error"]) == (409, True)
        assert left(api) == before
    assert delete(api, job, dry_run=True, delete_artifacts=True).json()["cleanup_summary"]["published"] == [
        "relief/hills",
        "tables/roads",
    ]
    assert delete(api, job, by="ada", confirm="yes", delete_artifacts=True, force=True).status_code == 200
    assert left(api) == {}
    kept = api.query("SELECT status::text, revoked_by, job_key FROM app.dataset_approvals")
    assert kept == [("revoked", "ada", None)]


def test_a_table_that_others_build_on_stops_the_deletion_whole(api: Api, shelf: Catalogue) -> None:
    job = made_by_a_job(api, shelf)
    shelf.run("CREATE VIEW public.built_on AS SELECT * FROM geo.roads")
    before = left(api)
    refused = delete(api, job, confirm="yes", delete_artifacts=True)
    assert (refused.status_code, "geo.roads" in refused.json()["error"]) == (409, True)
    assert left(api) == before


class Stubborn(LocalStorage):
    """A store that refuses to delete."""

    def delete(self, name: BlobName) -> bool:
        raise StorageUnavailable(f"{name} is held by a backup.")


def test_files_that_cannot_be_deleted_are_named_and_deleted_the_next_time(
    api: Api, shelf: Catalogue, tmp_path: Path
) -> None:
    job = made_by_a_job(api, shelf)
    willing, api.runtime.storage = api.runtime.storage, Stubborn(tmp_path / "storage")
    refused = delete(api, job, confirm="yes", delete_artifacts=True)
    assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_UNAVAILABLE")
    assert "hills.tif is held by a backup" in refused.json()["error"]
    assert left(api)["jobs"] == 1
    assert "items" not in left(api), "the catalogue entry goes first"
    api.runtime.storage = willing
    again = delete(api, job, confirm="yes", delete_artifacts=True).json()["cleanup_summary"]
    assert again["blobs_deleted"] == [f"{CONTAINER}/relief/hills.tif"]
    assert left(api) == {}


def test_a_running_job_is_deleted_only_with_force(api: Api) -> None:
    job = api.submit(name="runs", widths=[2, 1, 1])
    [held] = api.claim()
    assert delete(api, job, confirm="yes").status_code == 409
    assert delete(api, job, confirm="yes", force=True).status_code == 200
    api.runtime.machine.process(held)
    assert left(api) == {}
    assert api.query("SELECT count(*) FROM app.queue") == [(0,)]


def test_nobody_operates_the_jobs_of_others(api: Api) -> None:
    job = api.submit(by="ann", name="mine")
    calls = ["cancel", "tasks/1/0/cancel", "retry", "resubmit"]
    for path in calls:
        assert post(api, f"/api/jobs/{job}/{path}", by="bob").status_code == 404, path
        assert post(api, f"/api/jobs/{job}/{path}", by="rita").status_code == 403, path
        assert post(api, f"/api/jobs/{'0' * 64}/{path}", by="ada").status_code == 404, path
    assert delete(api, job, by="bob", confirm="yes").status_code == 404
    assert delete(api, job, by="rita", confirm="yes").status_code == 403
    assert api.get(f"/api/jobs/status/{job}")["status"] == "queued"
    assert post(api, f"/api/jobs/{job}/cancel", by="ada").status_code == 200


def test_a_request_for_work_that_somebody_else_asked_for_first_makes_it_visible(api: Api) -> None:
    job = api.submit(by="ann", name="shared")
    with psycopg.connect(api.db) as conn:
        conn.execute(
            "INSERT INTO app.api_requests (request_id, dataset_id, resource_id, version_id, data_type, job_id,"
            " source_container, source_path, request, client_id) VALUES (%s, 'd', 'r', 'v', 'raster', %s,"
            " 'bronze-rasters', 'a.tif', '{}', 'bob')",
            ("0" * 32, job),
        )
    assert api.of("bob").get(f"/api/jobs/status/{job}").status_code == 200
    status = api.get(f"/api/platform/status/{'0' * 32}", "bob", verbose=True)
    assert (status["progress"], status["queue_position"], status["waiting_for"]["reason"]) == (0, 1, "queued")
    assert [(t["task_id"], t["status"]) for t in status["task_summary"]["tasks"]] == [(f"{job}-s1-0", "queued")]
    assert api.of("ann").get(f"/api/platform/status/{'0' * 32}").status_code == 404
    assert api.get("/api/platform/status", "ann")["requests"] == []
    assert api.get("/api/platform/status", "bob")["count"] == 1


def test_deleting_and_cancelling_jobs_that_workers_are_busy_with_hurts_nobody(api: Api) -> None:
    kept = [api.submit(name=f"kept-{n}", widths=[2, 6, 1]) for n in range(4)]
    doomed = [api.submit(name=f"doomed-{n}", widths=[2, 6, 1]) for n in range(12)]
    workers = [api.runtime.worker(f"w{n}") for n in range(3)]
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(api.drain, worker) for worker in workers]
        answers = []
        for number, job in enumerate(doomed):
            if number % 2:
                answers.append(post(api, f"/api/jobs/{job}/cancel").status_code)
            answers.append(delete(api, job, confirm="yes", force=True).status_code)
        for one in running:
            one.result()
    assert set(answers) <= {200, 409}, answers
    assert answers.count(200) >= len(doomed)
    api.drain()
    assert [api.get(f"/api/jobs/status/{job}")["status"] for job in kept] == ["completed"] * 4
    assert api.query("SELECT count(*) FROM app.jobs") == [(4,)]
    assert api.query("SELECT count(*) FROM app.queue") == [(0,)]
