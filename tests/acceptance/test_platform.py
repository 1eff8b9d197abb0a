"""The partner's and the reviewer's contract, over HTTP, on both hosts."""

from __future__ import annotations

import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from core.contracts.storage import BlobName
from tests.support.system import System

_number = itertools.count()


def ids() -> dict[str, str]:
    return {"dataset_id": "Flüsse", "resource_id": f"r{next(_number)}", "version_id": "v1.0"}


def body(name: BlobName, **more: object) -> dict[str, object]:
    return {**ids(), "container_name": name.container, "file_name": name.path, "service_name": "S", **more}


def submit(client: httpx.Client, request: dict[str, object]) -> httpx.Response:
    return client.post("/api/platform/submit", json=request)


def test_a_raster_goes_from_submit_to_the_public_catalogue(running: System, small_raster: Path) -> None:
    name = running.upload(small_raster, "bronze-rasters", f"a/{next(_number)}/heights.tif")
    with running.client() as client:
        request = body(name, access_level="PUBLIC")
        accepted = submit(client, request)
        assert accepted.status_code == 202, accepted.text
        answer = accepted.json()
        expected = hashlib.sha256(f"Flüsse|{request['resource_id']}|v1.0".encode()).hexdigest()[:32]
        assert answer["success"] is True
        assert answer["request_id"] == expected
        assert answer["job_type"] == "process_raster_v2"
        assert answer["monitor_url"] == f"/api/platform/status/{expected}"

        status = running.finish(client, answer["request_id"])
        assert status["job_status"] == "completed", status["job_error"]
        assert status["job_id"] == answer["job_id"]
        assert client.get(f"/api/platform/status/{answer['job_id']}").json()["request_id"] == expected
        assert status["task_summary"]["total"] == status["task_summary"]["completed"] == 3
        assert status["approval"]["status"] == "pending"
        stac = status["job_result"]["stac"]
        assert (stac["collection_id"], stac["item_id"]) == ("flusse", f"flusse-{request['resource_id']}-v1-0")

        approval = client.get(f"/api/approvals/{status['approval']['approval_id']}").json()
        assert (approval["job_id"], approval["classification"]) == (answer["job_id"], "public")
        decided = client.post(
            f"/api/approvals/{approval['approval_id']}/approve", json={"reviewer": "r@example.org", "notes": "fine"}
        ).json()
        assert decided["approval"]["status"] == "approved"
        assert decided["approval"]["reviewer"] == "r@example.org"
        again = client.post(f"/api/approvals/{approval['approval_id']}/approve", json={})
        assert again.status_code == 409
        assert again.json()["error"] == "Cannot approve: status is 'approved', expected 'pending'."


def test_a_vector_becomes_a_table_and_its_approval_can_be_refused(running: System, small_vector: Path) -> None:
    name = running.upload(small_vector, "bronze-vectors", f"a/{next(_number)}/orte.geojson")
    with running.client() as client:
        answer = submit(client, body(name)).json()
        status = running.finish(client, answer["request_id"])
        assert status["job_status"] == "completed", status["job_error"]
        assert status["job_result"]["summary"]["total_rows_uploaded"] == 5
        assert status["data_access"]["postgis"]["schema"] == "geo"
        approval_id = status["approval"]["approval_id"]
        assert client.post(f"/api/approvals/{approval_id}/reject", json={}).status_code == 400
        refused = client.post(f"/api/approvals/{approval_id}/reject", json={"reason": "wrong year"}).json()
        assert refused["approval"]["status"] == "rejected"
        assert refused["approval"]["rejection_reason"] == "wrong year"
        assert client.post(f"/api/approvals/{approval_id}/approve", json={}).status_code == 409


def test_twenty_submits_of_one_request_at_once_make_one_job(running: System, small_vector: Path) -> None:
    request = body(running.upload(small_vector, "bronze-vectors", f"a/{next(_number)}/orte.geojson"))
    with running.client() as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: submit(client, request), range(20)))
        assert sorted(a.status_code for a in answers) == [200] * 19 + [202]
        assert len({a.json()["job_id"] for a in answers}) == 1
        status = running.finish(client, answers[0].json()["request_id"])
        repeated = submit(client, request)
        assert repeated.status_code == 200
        assert repeated.json()["message"] == "Request already submitted (idempotent)"
        assert repeated.json()["job_status"] == status["job_status"] == "completed"


def test_changed_bytes_under_the_same_identifiers_are_a_conflict_until_overwritten(
    running: System, small_vector: Path
) -> None:
    path = f"a/{next(_number)}/orte.geojson"
    request = body(running.upload(small_vector, "bronze-vectors", path))
    with running.client() as client:
        first = submit(client, request).json()
        running.finish(client, first["request_id"])
        small_vector.write_text(small_vector.read_text().replace("Ort", "Stadt"))
        running.upload(small_vector, "bronze-vectors", path)
        conflict = submit(client, request)
        assert conflict.status_code == 409
        assert "overwrite" in conflict.json()["hint"]
        replaced = submit(client, {**request, "processing_options": {"overwrite": True}})
        assert replaced.status_code == 202
        status = running.finish(client, first["request_id"])
        assert status["job_status"] == "completed", status["job_error"]
        assert status["retry_count"] == 1


@pytest.mark.parametrize(
    ("change", "status", "code", "says"),
    [
        ({"access_level": "secret"}, 400, "VALIDATION_ERROR", "access_level"),
        ({"dataset_id": ""}, 400, "VALIDATION_ERROR", "dataset_id"),
        ({"nonsense": 1}, 400, "VALIDATION_ERROR", "nonsense"),
        ({"processing_options": {"ovrwrite": True}}, 400, "VALIDATION_ERROR", "ovrwrite"),
        ({"processing_options": {"output_tier": "analysis"}}, 400, "VALIDATION_ERROR", "output_tier"),
        ({"processing_options": {"expected_data_type": "raster"}}, 400, "VALIDATION_ERROR", "expected_data_type"),
        ({"file_name": "../../etc/passwd.shp"}, 400, "VALIDATION_ERROR", "plain relative path"),
        ({"file_name": "/etc/passwd.shp"}, 400, "VALIDATION_ERROR", "plain relative path"),
        ({"file_name": "missing.geojson"}, 404, "SOURCE_NOT_FOUND", "missing.geojson"),
        ({"file_name": "cloud.laz"}, 400, "UNSUPPORTED_FORMAT", "laz"),
        ({"file_name": ["a.csv", "b.csv"]}, 400, "VALIDATION_ERROR", "several files"),
        ({"container_name": "secrets"}, 400, "VALIDATION_ERROR", "secrets"),
        ({"container_name": "gold-exports/../bronze"}, 400, "VALIDATION_ERROR", "container_name"),
    ],
)
def test_a_bad_request_is_refused_with_the_field_and_the_reason(
    running: System, small_vector: Path, change: dict[str, object], status: int, code: str, says: str
) -> None:
    name = running.upload(small_vector, "bronze-vectors")
    with running.client() as client:
        answer = submit(client, body(name, **change))
    refusal = answer.json()
    assert (answer.status_code, refusal["code"], refusal["success"]) == (status, code, False)
    assert says in refusal["error"]
    assert set(refusal) == {"success", "error", "error_type", "code", "hint", "request_id"}
    assert refusal["request_id"] == answer.headers["x-request-id"]


def test_a_text_file_named_tif_fails_with_its_name_and_the_cause(running: System, tmp_path: Path) -> None:
    fake = tmp_path / "notes.tif"
    fake.write_text("these are not pixels")
    name = running.upload(fake, "bronze-rasters", f"a/{next(_number)}/notes.tif")
    with running.client() as client:
        answer = submit(client, body(name)).json()
        status = running.finish(client, answer["request_id"])
        assert status["job_status"] == "failed"
        assert status["job_error"]["code"] == "UNREADABLE_SOURCE"
        assert "notes.tif" in status["job_error"]["message"]
        assert status["task_summary"]["failed"] == 1
        assert status["data_access"] == {}
        repeated = submit(client, {**body(name), **{k: status[k] for k in ("dataset_id", "resource_id", "version_id")}})
        assert repeated.status_code == 200
        assert repeated.json()["job_status"] == "failed"
        assert "overwrite" in repeated.json()["hint"]


def test_hello_world_runs_and_its_history_can_be_paged(running: System) -> None:
    with running.client() as client:
        made = client.post("/api/jobs/submit/hello_world", json={"n": 25, "message": f"hi {next(_number)}"})
        assert (made.status_code, made.json()["status"]) == (202, "created")
        job_id = made.json()["job_id"]
        status = client.get(f"/api/jobs/status/{job_id}").json()
        while status["status"] in ("queued", "processing"):
            status = client.get(f"/api/jobs/status/{job_id}").json()
        assert status["status"] == "completed"
        assert status["resultData"]["replies"] == 25
        assert status["taskSummary"]["by_stage"]["1"]["total"] == 25
        again = client.post("/api/jobs/submit/hello_world", json=status["parameters"])
        assert (again.status_code, again.json()["status"]) == (200, "already_completed")
        seen, more = [], {}
        while more is not None:
            page = client.get(f"/api/jobs/{job_id}/events", params={"limit": 20, **more}).json()
            seen += page["events"]
            more = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
        kinds = [e["event_type"] for e in seen]
        assert kinds.count("task_completed") == 50
        assert (kinds[0], kinds[-1]) == ("job_created", "job_completed")
        assert [e["event_id"] for e in seen] == sorted({e["event_id"] for e in seen})


def test_an_unknown_job_type_lists_the_known_ones(running: System) -> None:
    with running.client() as client:
        answer = client.post("/api/jobs/submit/helo_world", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "UNKNOWN_JOB_TYPE")
    assert "hello_world" in answer.json()["hint"]


def test_every_route_but_the_probes_and_the_documentation_needs_a_key(running: System) -> None:
    with running.client(anonymous=True) as public:
        paths = public.get("/api/openapi.json").json()["paths"]
        open_routes = set()
        for path, methods in paths.items():
            for method in methods:
                answer = public.request(method.upper(), path.replace("{", "").replace("}", ""))
                if answer.status_code != 401:
                    open_routes.add(path)
                else:
                    assert answer.json()["code"] == "UNAUTHENTICATED"
        wrong = public.get("/api/jobs", headers={"X-API-Key": "wrong"})
    styles = "/api/features/collections/{collection_id}/styles"
    known = {"/api/livez", "/api/readyz", "/api/assets/{container}/{path}", "/api/errors", "/api/errors/{code}"}
    assert open_routes <= {*known, styles, f"{styles}/{{style_id}}"}
    assert wrong.status_code == 401
    assert running.key not in wrong.text


def test_a_wrong_key_is_told_on_the_public_catalogue_too(uvicorn_system: System) -> None:
    with uvicorn_system.client(anonymous=True) as public:
        for path in ("/api/stac/collections", "/api/features/collections"):
            assert public.get(path).status_code == 200
            wrong = public.get(path, headers={"X-API-Key": "wrong"})
            assert (wrong.status_code, wrong.json()["code"]) == (401, "UNAUTHENTICATED")


def test_probes_and_health_answer(running: System) -> None:
    with running.client(anonymous=True) as public:
        assert public.get("/api/livez").json()["status"] == "alive"
        assert public.get("/api/readyz").json()["status"] == "ready"
    with running.client() as client:
        health = client.get("/api/health").json()
    assert health["errors"] == [], "other tests of this system leave dead letters, which only warn"
    everywhere = {
        "database",
        "storage",
        "pgstac",
        "configuration",
        "queue",
        "workers",
        "outbox",
        "dead_letters",
        "machine",
    }
    assert everywhere <= set(health["components"]) <= everywhere | {"stac", "features", "raster", "assets"}


def test_an_unknown_path_and_a_wrong_method_answer_in_the_error_family(running: System) -> None:
    with running.client() as client:
        missing, wrong = client.get("/api/nothing"), client.delete("/api/platform/submit")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


def test_a_body_that_is_no_json_is_refused_as_such(running: System) -> None:
    with running.client() as client:
        answer = client.post("/api/platform/submit", content="{bad", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert answer.json()["error"].startswith("The body is not valid JSON")


def test_a_body_over_the_limit_is_refused(running: System) -> None:
    with running.client() as client:
        answer = submit(client, {"dataset_id": "x" * (11 << 20)})
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
