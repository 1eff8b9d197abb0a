"""Curated datasets: fetched from a real server on this machine, loaded, reviewed, and kept up to date by the clock."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from config import OutboundSettings
from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.remote import LOOPBACK, Asked, Remote, Says
from triggers.timers import TIMERS

PATH = "/countries.geojson"
NIGHTLY = "0 0 1 * * *"


@pytest.fixture
def api(api: Api) -> Api:
    """The API, which may call this machine."""
    outbound = OutboundSettings(OUTBOUND_ALLOWED_NETWORKS=LOOPBACK)
    api.runtime.settings = replace(api.runtime.settings, outbound=outbound)
    return api


def countries(*codes: str) -> bytes:
    """Squares of ten degrees side by side."""
    features = [
        {
            "type": "Feature",
            "properties": {"iso3": code},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, -5], [x + 10, -5], [x + 10, 5], [x, 5], [x, -5]]],
            },
        }
        for x, code in zip(range(0, 100, 10), codes, strict=False)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def offers(remote: Remote, *codes: str, **headers: str) -> None:
    """The source serves a file of these countries, and answers 304 to who has that version."""

    def answer(asked: Asked) -> Says:
        known = asked.headers.get("if-none-match") or asked.headers.get("if-modified-since")
        if known is not None and known in headers.values():
            return Says(status=304)
        return Says(countries(*codes), headers=headers)

    remote.answer = answer


def register(api: Api, remote: Remote, **changes: object) -> dict:
    body = {
        "dataset_id": "admin0",
        "name": "Countries",
        "source_type": "url",
        "source_url": remote.url + PATH,
        "update_schedule": NIGHTLY,
        **changes,
    }
    answer = api.of("ada").post("/api/curated/datasets", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["dataset"]


def update(api: Api, dataset: str = "admin0", **body: object) -> dict:
    """Update now; the job's status at its end."""
    answer = api.of("ada").post(f"/api/curated/datasets/{dataset}/update", json=body)
    assert answer.status_code == 202, answer.text
    api.drain()
    return api.get(f"/api/jobs/status/{answer.json()['job_id']}")


def outcome(job: dict) -> str:
    assert job["status"] == "completed", job
    return job["resultData"]["outcome"]


def history(api: Api, dataset: str = "admin0") -> list[dict]:
    return api.get(f"/api/curated/datasets/{dataset}/history", "ann")["updates"]


def states(api: Api, dataset: str = "admin0") -> list[str]:
    return [logged["status"] for logged in history(api, dataset)]


def rows(api: Api, table: str = "curated_admin0") -> list[str]:
    return [code for (code,) in api.query(f"SELECT iso3 FROM geo.{table} ORDER BY iso3")]


def approve(api: Api) -> None:
    [(approval,)] = api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
    answer = api.of("rex").post(f"/api/approvals/{approval}/approve", json={})
    assert answer.status_code == 200, answer.text


def tick(api: Api) -> int:
    return next(timer for timer in TIMERS if timer.name == "curated_scheduler").run(api.runtime)


def alerts(api: Api) -> list[dict]:
    return [p for (p,) in api.query("SELECT payload FROM app.outbox WHERE topic = 'curated-update-alerts'")]


def test_the_first_update_loads_the_file_and_waits_for_a_review(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", "BBB", ETag='"1"')
    made = register(api, remote, system_role="admin0_boundaries")
    assert (made["target_table_name"], made["enabled"], made["source_version"]) == ("curated_admin0", True, None)
    job = update(api)
    assert outcome(job) == "updated"
    assert job["resultData"]["records"] == {"added": 2, "updated": 0, "deleted": 0, "total": 2}
    assert list(job["resultData"]["stages"]) != []
    assert rows(api) == ["AAA", "BBB"]
    published = "SELECT published, custom_properties ->> 'system_role' FROM geo.table_catalog"
    assert api.query(published) == [(False, "admin0_boundaries")]
    approve(api)
    assert api.query("SELECT table_name FROM app.admin0_table()") == [("curated_admin0",)]
    [logged] = history(api)
    assert (logged["status"], logged["update_type"], logged["records_total"]) == ("completed", "manual", 2)
    assert (logged["source_version"], logged["job_id"]) == ('etag "1"', job["jobId"])
    assert logged["duration_seconds"] >= 0
    now = api.get("/api/curated/datasets/admin0", "ann")["dataset"]
    assert (now["source_version"], now["last_job_id"]) == ('etag "1"', job["jobId"])
    assert now["last_checked_at"] and now["last_updated_at"]


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": "Tue, 03 Nov 2026 10:00:00 GMT"}, {}])
def test_a_source_without_anything_new_is_left_alone_and_told_so(
    api: Api, remote: Remote, headers: dict[str, str]
) -> None:
    offers(remote, "AAA", **headers)
    register(api, remote)
    update(api)
    loaded = api.query("SELECT max(updated_at) FROM geo.table_catalog")
    job = update(api)
    assert outcome(job) == "no_update_needed"
    assert "nothing new" in job["resultData"]["message"] or "same content" in job["resultData"]["message"]
    assert job["resultData"]["stages"]["curated_etl_process"] == "nothing to do"
    assert states(api) == ["no_update_needed", "completed"]
    assert api.query("SELECT max(updated_at) FROM geo.table_catalog") == loaded
    assert api.query("SELECT count(*) FROM app.dataset_approvals") == [(1,)]


def test_a_server_that_ignores_conditions_is_compared_by_what_it_states(api: Api, remote: Remote) -> None:
    remote.serves({PATH: Says(countries("AAA"), headers={"ETag": '"1"'})})
    register(api, remote)
    update(api)
    remote.asked.clear()
    assert outcome(update(api)) == "no_update_needed"
    assert len(remote.asked) == 1, "its content was not fetched"
    remote.serves({PATH: Says(countries("AAA"), headers={"ETag": '"2"'})})
    assert outcome(update(api)) == "no_update_needed", "another version of the same content"
    assert api.get("/api/curated/datasets/admin0")["dataset"]["source_version"] == 'etag "2"'
    assert outcome(update(api, force_update=True)) == "updated"


def test_what_changed_waits_beside_what_is_published_and_keeps_its_role(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", "BBB", ETag='"1"')
    register(api, remote, system_role="admin0_boundaries")
    update(api)
    approve(api)
    offers(remote, "AAA", "CCC", "DDD", ETag='"2"')
    job = update(api)
    assert job["resultData"]["records"] == {"added": 3, "updated": 0, "deleted": 2, "total": 3}
    assert rows(api) == ["AAA", "BBB"]
    [(draft,)] = api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
    assert api.get(f"/api/approvals/{draft}/evidence", "rex")["items"][0]["differences"] is not None
    approve(api)
    assert rows(api) == ["AAA", "CCC", "DDD"]
    assert api.query("SELECT table_name FROM app.admin0_table()") == [("curated_admin0",)]
    kept = [blob.name.path for blob in api.runtime.storage.list("bronze-vectors", "curated/admin0/")]
    assert len(kept) == 1, "the file of the earlier version is gone"


def test_a_policy_may_publish_an_update_without_a_person(api: Api, remote: Remote) -> None:
    policy = {"auto_approve": True, "max_extent_percent": 100, "max_count_percent": 100}
    answer = api.of("ada").put("/api/admin/approval-policies/dataset:admin0", json=policy)
    assert answer.status_code == 200, answer.text
    offers(remote, "AAA", "BBB", ETag='"1"')
    register(api, remote)
    update(api)
    approve(api)
    offers(remote, "AAA", "CCC", ETag='"2"')
    update(api)
    api.runtime.machine.sweep()
    assert rows(api) == ["AAA", "CCC"]


def test_an_upsert_replaces_rows_of_the_same_key_and_adds_the_others(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", "BBB", ETag='"1"')
    register(api, remote, update_strategy="upsert", update_key=["iso3"])
    update(api)
    offers(remote, "BBB", "CCC", ETag='"2"')
    job = update(api)
    assert job["resultData"]["records"] == {"added": 1, "updated": 1, "deleted": 0, "total": 3}
    assert rows(api) == ["AAA", "BBB", "CCC"]
    approve(api)
    offers(remote, "DDD", ETag='"3"')
    assert outcome(update(api)) == "updated"
    offers(remote, "EEE", ETag='"4"')
    assert outcome(update(api)) == "skipped", "its rows would take the place of those that wait"
    approve(api)
    assert outcome(update(api)) == "updated"


def test_a_table_that_rows_join_keeps_what_is_said_of_it(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote, update_strategy="upsert", update_key=["iso3"])
    assert api.of("ada").patch("/api/curated/datasets/admin0", json={"name": "Nations"}).status_code == 200
    update(api)
    for change in ({"name": "Lands"}, {"access_level": "ouo"}, {"source_config": {"license": "CC0"}}):
        answer = api.of("ada").patch("/api/curated/datasets/admin0", json=change)
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT"), change
    anew = {"name": "Lands", "update_strategy": "full_replace", "update_key": []}
    assert api.of("ada").patch("/api/curated/datasets/admin0", json=anew).status_code == 200
    assert outcome(update(api)) == "updated"
    assert api.query("SELECT title FROM geo.table_catalog") == [("Lands",)]


def test_a_file_of_several_kinds_of_geometry_is_one_table(api: Api, remote: Remote) -> None:
    mixed = json.loads(countries("AAA"))
    point = {"type": "Feature", "properties": {"iso3": "BBB"}, "geometry": {"type": "Point", "coordinates": [50, 0]}}
    mixed["features"].append(point)
    remote.serves({PATH: Says(json.dumps(mixed).encode())})
    register(api, remote)
    assert outcome(update(api)) == "updated"
    assert rows(api) == ["AAA", "BBB"]
    assert outcome(update(api)) == "no_update_needed"


def test_what_was_rejected_comes_back_with_another_version_or_on_request(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    update(api)
    approve(api)
    offers(remote, "BBB", ETag='"2"')
    update(api)
    [(draft,)] = api.query("SELECT approval_id FROM app.dataset_approvals WHERE status = 'pending'")
    api.of("rex").post(f"/api/approvals/{draft}/reject", json={"reason": "wrong"})
    assert outcome(update(api)) == "no_update_needed"
    assert rows(api) == ["AAA"]
    assert outcome(update(api, force_update=True)) == "updated"
    approve(api)
    assert rows(api) == ["BBB"]


def test_a_retry_of_a_failed_update_is_another_line_of_its_history(api: Api, remote: Remote) -> None:
    remote.serves({PATH: Says(b"<html></html>")})
    register(api, remote)
    job = update(api)["jobId"]
    answer = api.of("ada").post(f"/api/jobs/{job}/retry")
    assert answer.is_success, answer.text
    api.drain()
    assert states(api) == ["failed", "failed"]
    assert len(alerts(api)) == 2


def test_a_blob_is_a_source_too(api: Api, remote: Remote) -> None:
    name = BlobName("bronze-vectors", "reference/countries.geojson")
    api.runtime.storage.put(countries("AAA"), name)
    register(api, remote, source_type="blob", source_url=str(name))
    assert outcome(update(api)) == "updated"
    assert outcome(update(api)) == "no_update_needed"
    api.runtime.storage.put(countries("BBB"), name)
    assert outcome(update(api)) == "updated"
    assert rows(api) == ["BBB"]


def test_a_source_that_is_away_fails_the_update_and_somebody_is_told(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    update(api)
    remote.answer = lambda _: Says(status=503)
    job = update(api)
    assert (job["status"], job["errorDetails"]["code"]) == ("failed", "REMOTE_UNAVAILABLE")
    [logged, _] = history(api)
    assert logged["status"] == "failed"
    assert "status 503" in logged["message"]
    [alert] = alerts(api)
    assert (alert["alert"], alert["dataset_id"], alert["job_id"]) == ("failed", "admin0", job["jobId"])
    assert rows(api) == ["AAA"]


def test_a_redirect_into_a_private_network_is_refused(api: Api, remote: Remote) -> None:
    register(api, remote)
    remote.serves({PATH: Says(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})})
    job = update(api)
    assert (job["status"], job["errorDetails"]["code"]) == ("failed", "ADDRESS_REFUSED")
    answer = api.of("ada").patch("/api/curated/datasets/admin0", json={"source_url": "http://10.0.0.1/x.geojson"})
    assert (answer.status_code, answer.json()["code"]) == (400, "ADDRESS_REFUSED")


def test_a_broken_file_leaves_the_table_and_is_tried_again(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    update(api)
    remote.serves({PATH: Says(b"<html>Maintenance</html>", headers={"ETag": '"2"'})})
    assert update(api)["status"] == "failed"
    assert (rows(api), states(api)) == (["AAA"], ["failed", "completed"])
    offers(remote, "AAA", "BBB", ETag='"2"')
    assert outcome(update(api)) == "updated"
    assert rows(api) == ["AAA", "BBB"]


def test_a_dry_run_looks_and_leaves_no_trace(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    job = update(api, dry_run=True)
    assert (outcome(job), job["resultData"]["stages"]["curated_fetch_data"]) == ("would_update", "nothing to do")
    assert history(api) == []
    assert api.get("/api/curated/datasets/admin0")["dataset"]["last_checked_at"] is None


def test_another_definition_is_loaded_although_the_source_is_the_same(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    update(api)
    change = {"source_config": {"column_mapping": {"iso3": "code"}}}
    answer = api.of("ada").put("/api/curated/datasets/admin0", json=change)
    assert answer.status_code == 200, answer.text
    assert outcome(update(api)) == "updated"
    assert api.query("SELECT code FROM geo.curated_admin0") == [("AAA",)]
    answer = api.of("ada").put("/api/curated/datasets/admin0", json={"update_schedule": None})
    assert answer.json()["dataset"]["update_schedule"] is None
    assert outcome(update(api)) == "no_update_needed", "the schedule makes no other table"


def test_a_definition_that_changes_during_an_update_is_loaded_by_the_next(api: Api, remote: Remote) -> None:
    register(api, remote)

    def answer(_: Asked) -> Says:
        api.of("ada").put("/api/curated/datasets/admin0", json={"name": f"Countries {len(remote.asked)}"})
        return Says(countries("AAA"), headers={"ETag": '"1"'})

    remote.answer = answer
    assert outcome(update(api)) == "updated"
    offers(remote, "AAA", ETag='"1"')
    assert outcome(update(api)) == "updated"
    assert outcome(update(api)) == "no_update_needed"


def test_a_file_that_is_too_large_is_refused(api: Api, remote: Remote) -> None:
    settings = replace(api.runtime.settings, curated=api.runtime.settings.curated.model_copy(update={"max_mb": 1}))
    api.runtime.settings = settings
    remote.serves({PATH: Says(b" " * (2 << 20))})
    register(api, remote)
    job = update(api)
    assert (job["status"], job["errorDetails"]["code"]) == ("failed", "REMOTE_ANSWER_REFUSED")


def test_the_clock_submits_what_is_due_once_for_each_night(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    register(api, remote, dataset_id="by_hand", update_schedule=None)
    register(api, remote, dataset_id="paused", enabled=False)
    register(api, remote, dataset_id="rare", update_schedule="0 0 1 1 1 *")
    api.query("UPDATE app.curated_datasets SET scheduled_for = now() WHERE dataset_id = 'rare'")
    assert tick(api) == 1
    assert tick(api) == 0
    api.drain()
    [first] = history(api)
    assert (first["status"], first["update_type"]) == ("completed", "scheduled")
    due = datetime.fromisoformat(first["scheduled_for"])
    assert (due.hour, due.minute, due <= datetime.now(UTC)) == (1, 0, True)
    assert api.runtime.curated_scheduler.submit_due(due + timedelta(days=1)) == 1
    api.drain()
    assert states(api) == ["no_update_needed", "completed"]
    assert len({logged["job_id"] for logged in history(api)}) == 2
    assert [history(api, name) for name in ("by_hand", "paused", "rare")] == [[], [], []]


def test_two_hosts_that_fire_at_once_submit_once(api: Api, remote: Remote) -> None:
    for number in range(8):
        register(api, remote, dataset_id=f"d{number}")
    with ThreadPoolExecutor(2) as hosts:
        submitted = list(hosts.map(lambda _: tick(api), range(2)))
    assert sum(submitted) == 8
    assert api.query("SELECT count(*), count(DISTINCT job_id) FROM app.jobs") == [(8, 8)]


def test_one_that_cannot_be_submitted_stops_no_other_and_is_told_once(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    register(api, remote, dataset_id="aardvarks")
    api.query("UPDATE app.curated_datasets SET update_schedule = 'at night' WHERE dataset_id = 'aardvarks'")
    assert tick(api) == 1
    assert tick(api) == 0
    api.drain()
    assert states(api) == ["completed"]
    [logged] = history(api, "aardvarks")
    assert (logged["status"], logged["job_id"]) == ("failed", None)
    assert "at night" in logged["message"]
    assert [alert["dataset_id"] for alert in alerts(api)] == ["aardvarks"]


def test_two_updates_of_one_dataset_do_not_overtake_each_other(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    assert tick(api) == 1
    answer = api.of("ada").post("/api/curated/datasets/admin0/update", json={})
    assert answer.json()["created"]
    assert api.of("ada").delete("/api/curated/datasets/admin0").status_code == 409
    api.drain()
    assert sorted(states(api)) == ["completed", "skipped"]
    assert api.of("ada").delete("/api/curated/datasets/admin0").status_code == 200
    assert rows(api) == ["AAA"], "its table stays"


def test_a_cancelled_update_is_closed(api: Api, remote: Remote) -> None:
    register(api, remote)
    job = api.of("ada").post("/api/curated/datasets/admin0/update", json={}).json()["job_id"]
    assert api.of("ada").post(f"/api/jobs/{job}/cancel", json={"reason": "not now"}).status_code == 200
    assert states(api) == ["cancelled"]
    assert alerts(api) == []


def test_a_dataset_is_listed_changed_switched_and_forgotten(api: Api, remote: Remote) -> None:
    for name in ("b", "a", "c"):
        register(api, remote, dataset_id=name)
    page = api.get("/api/curated/datasets", "ann", limit=2)
    assert [d["dataset_id"] for d in page["datasets"]] == ["a", "b"]
    page = api.get("/api/curated/datasets", "ann", limit=2, cursor=page["next_cursor"])
    assert ([d["dataset_id"] for d in page["datasets"]], page["next_cursor"]) == (["c"], None)
    assert api.of("ada").post("/api/curated/datasets/b/disable").json()["dataset"]["enabled"] is False
    assert [d["dataset_id"] for d in api.get("/api/curated/datasets", enabled=False)["datasets"]] == ["b"]
    assert api.of("ada").post("/api/curated/datasets/b/enable").json()["dataset"]["enabled"] is True
    assert api.of("ada").patch("/api/curated/datasets/b", json={"name": "Bees"}).json()["dataset"]["name"] == "Bees"
    assert api.of("ada").delete("/api/curated/datasets/b").status_code == 200
    assert api.of("ada").get("/api/curated/datasets/b").status_code == 404
    deeds = [e["action"] for e in api.get("/api/admin/audit", object_type="curated", object_id="b")["entries"]]
    assert deeds == ["curated.delete", *["curated.update"] * 3, "curated.register"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source_url": "ftp://example.com/a.geojson"}, "source_type"),
        ({"source_type": "blob", "source_url": "silver-cogs/a.geojson"}, "bronze"),
        ({"source_type": "blob", "source_url": "bronze-vectors/../a.geojson"}, "path"),
        ({"update_schedule": "0 1 * * *"}, "schedule"),
        ({"update_schedule": "0 0 0 30 2 *"}, "schedule"),
        ({"update_schedule": "R R 1 * * *"}, "schedule"),
        ({"source_config": {"table_name": "geo"}}, "table_name"),
        ({"source_config": {"lat_name": "y"}}, "lon_name"),
        ({"source_config": {"file_extension": "shp"}}, "zip"),
        ({"source_config": {"geometry_params": {"mixed": "split"}}}, "one"),
        ({"source_config": {"geometry_params": 3}}, "geometry_params"),
        ({"update_strategy": "upsert"}, "update_key"),
        ({"update_key": ["iso3"]}, "update_key"),
        ({"target_table_name": "rivers"}, "target_table_name"),
        ({"dataset_id": "Admin-0"}, "dataset_id"),
    ],
)
def test_a_definition_that_no_update_could_follow_is_refused(
    api: Api, remote: Remote, changes: dict[str, object], told: str
) -> None:
    body = {"dataset_id": "x", "name": "X", "source_type": "url", "source_url": remote.url + PATH, **changes}
    answer = api.of("ada").post("/api/curated/datasets", json=body)
    assert answer.status_code in (400, 422), answer.text
    assert told in answer.text


def test_id_table_and_role_belong_to_one_dataset(api: Api, remote: Remote) -> None:
    register(api, remote, system_role="admin0_boundaries")
    for changes in (
        {"dataset_id": "admin0"},
        {"dataset_id": "other", "target_table_name": "curated_admin0"},
        {"dataset_id": "other", "system_role": "admin0_boundaries"},
    ):
        body = {"name": "X", "source_type": "url", "source_url": remote.url + PATH, **changes}
        assert api.of("ada").post("/api/curated/datasets", json=body).status_code == 409


def test_curated_tables_are_not_for_partners(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    update(api)
    api.runtime.storage.put(countries("ZZZ"), BlobName("bronze-vectors", "mine.geojson"))
    ids = {"dataset_id": "curated", "resource_id": "admin0", "version_id": "v1"}
    file = {"container_name": "bronze-vectors", "file_name": "mine.geojson"}
    answer = api.of("ann").post("/api/platform/submit", json={**ids, **file})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    taken_back = {"table_name": "curated_admin0", "dry_run": False}
    assert api.of("ann").post("/api/platform/unpublish/vector", json=taken_back).status_code in (403, 404)
    assert api.of("ada").post("/api/platform/submit", json={**ids, **file, "client_id": "ann"}).status_code == 202
    api.drain()
    taken_back = {"table_name": "curated_admin0_v1", "dry_run": False}
    assert api.of("ann").post("/api/platform/unpublish/vector", json=taken_back).status_code == 403
    assert rows(api) == ["AAA"]
    assert api.of("ada").post("/api/platform/unpublish/vector", json=taken_back).status_code == 202


def test_the_comparison_has_nothing_against_curated_data(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote, system_role="admin0_boundaries")
    update(api)
    approve(api)
    offers(remote, "AAA", "BBB", ETag='"2"')
    update(api)
    for _ in range(2):
        answer = api.of("ada").post("/api/admin/consistency/run", json={"scope": "full"})
        assert answer.status_code == 202, answer.text
        api.drain()
        assert api.get("/api/admin/consistency/findings")["findings"] == []
        if api.query("SELECT FROM app.dataset_approvals WHERE status = 'pending'"):
            approve(api)


def test_a_dataset_without_a_table_any_more_is_loaded_again(api: Api, remote: Remote) -> None:
    offers(remote, "AAA", ETag='"1"')
    register(api, remote)
    update(api)
    answer = api.of("ada").post(
        "/api/platform/unpublish/vector", json={"table_name": "curated_admin0", "dry_run": False}
    )
    assert answer.status_code == 202, answer.text
    api.drain()
    with pytest.raises(psycopg.errors.UndefinedTable):
        rows(api)
    assert outcome(update(api)) == "updated"
    assert rows(api) == ["AAA"]
