"""The checklists that the system was asked to pass, line by line, over HTTP on both hosts."""

from __future__ import annotations

import ast
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.support.remote import Remote, Says, serving
from tests.support.system import System

TESTS = Path(__file__).resolve().parents[1]
_number = itertools.count()

#: Every line, and the tests that show it: of this file where no other is named.
LINES = {
    "Testing needed: submit a job, its record is pending, approve over the API, app:published is true": (
        "test_a_dataset_waits_unpublished_until_its_approval_publishes_it",
    ),
    "Testing needed: the same dataset_id, resource_id and version_id again increment the artifact's revision": (
        "test_submitting_the_same_ids_again_makes_the_next_revision",
    ),
    "Testing needed: register an external service, list it, force a health check, get statistics": (
        "test_an_external_service_is_registered_listed_checked_and_counted",
    ),
    "Checklist: submit with access_level INVALID answers 400": ("test_an_invalid_access_level_is_refused_by_name",),
    "Checklist: submit with access_level OUO succeeds": ("test_an_access_level_is_read_whatever_its_case",),
    "Checklist: submit with access_level ouo succeeds": ("test_an_access_level_is_read_whatever_its_case",),
    "Checklist: submit without access_level uses ouo": ("test_without_an_access_level_data_is_for_official_use_only",),
    "Checklist: STAC items have platform:access_level": (
        "test_a_dataset_waits_unpublished_until_its_approval_publishes_it",
        "test_a_raster_s_item_and_tasks_know_its_access_level",
        "unit/test_stac_documents.py::test_access_level_cannot_be_left_out",
    ),
    "Checklist: task parameters include access_level": ("test_a_raster_s_item_and_tasks_know_its_access_level",),
    "Checklist: GET /api/admin/adf/health returns the status of the Data Factory": (
        "test_the_health_of_the_data_factory_is_told",
        "integration/test_exports.py::test_health_names_the_pipelines_that_are_missing",
    ),
    "Phase 1: access_level is validated and normalised on entry": ("test_an_access_level_is_read_whatever_its_case",),
    "Phase 1: invalid values are refused with a clear message": ("test_an_invalid_access_level_is_refused_by_name",),
    "Phase 1: the tests of the platform's API pass": (
        "acceptance/test_platform.py::test_a_raster_goes_from_submit_to_the_public_catalogue",
        "integration/test_partner_contract.py::test_an_answer_that_partners_parse_has_every_field",
    ),
    "Phase 2: pipeline tasks fail at once when access_level is missing": (
        "test_a_pipeline_does_not_start_without_an_access_level",
        "integration/test_access_levels.py::test_a_task_that_lost_its_access_level_fails_at_once",
    ),
    "Phase 2: all STAC items have access_level in their metadata": (
        "unit/test_stac_documents.py::test_access_level_cannot_be_left_out",
    ),
    "Phase 2: checkpoints are logged at key stages": ("test_the_history_of_a_job_says_for_whom_its_data_is",),
    "Phase 3: the Data Factory's health endpoint works": (
        "test_the_health_of_the_data_factory_is_told",
        "integration/test_exports.py::test_health_names_the_pipelines_that_are_missing",
    ),
    "Phase 3: pipelines can be listed": (
        "integration/test_exports.py::test_health_names_the_pipelines_that_are_missing",
    ),
    "Phase 3: the export pipeline can be triggered": (
        "integration/test_exports.py::test_an_approved_public_dataset_leaves_and_its_run_is_followed_to_the_end",
        "integration/test_exports.py::test_what_is_not_public_stays",
    ),
    "Done when: 20 submits of one request at once make one job": (
        "acceptance/test_platform.py::test_twenty_submits_of_one_request_at_once_make_one_job",
    ),
    "Done when: 20 approvals at once make one publication and one run of the Data Factory": (
        "test_twenty_approvals_at_once_make_one_publication",
        "integration/test_exports.py::test_twenty_approvals_at_once_make_one_run",
    ),
    "Done when: hazards H23 to H31 and H40 have their tests": (
        "unit/test_docs_hazards.py::test_every_hazard_has_a_row_and_a_test",
        "unit/test_docs_hazards.py::test_every_test_that_the_table_names_exists",
    ),
    "Done when: every answer that partners parse is there, field for field": (
        "integration/test_partner_contract.py::test_an_answer_that_partners_parse_has_every_field",
    ),
}


@pytest.fixture
def client(running: System) -> Iterator[httpx.Client]:
    with running.client() as opened:
        yield opened


def request(running: System, file: Path, **changes: object) -> dict[str, object]:
    """The body of a submission of that file, under ids of its own."""
    zone = "bronze-rasters" if file.suffix == ".tif" else "bronze-vectors"
    name = running.upload(file, zone, f"checklists/{next(_number)}/{file.name}")
    ids = {"dataset_id": "checks", "resource_id": f"r{next(_number)}", "version_id": "v1"}
    return {**ids, "container_name": name.container, "file_name": name.path, **changes}


def finished(running: System, client: httpx.Client, body: dict[str, object]) -> dict:
    """Submit and wait; how the request ended."""
    answer = client.post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    status = running.finish(client, answer.json()["request_id"])
    assert status["job_status"] == "completed", status["job_error"]
    return status


def properties(client: httpx.Client, status: dict) -> dict:
    stac = status["job_result"]["stac"]
    item = client.get(f"/api/platform/catalog/item/{stac['collection_id']}/{stac['item_id']}")
    assert item.status_code == 200, item.text
    found: dict = item.json()["properties"]
    return found


def query(running: System, statement: str, *values: object) -> list[tuple]:
    with psycopg.connect(running.conninfo, autocommit=True) as conn:
        cursor = conn.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def test_a_dataset_waits_unpublished_until_its_approval_publishes_it(
    running: System, client: httpx.Client, small_vector: Path
) -> None:
    status = finished(running, client, request(running, small_vector, access_level="public"))
    assert status["approval"]["status"] == "pending"
    before = properties(client, status)
    assert (before["app:published"], before["platform:access_level"]) == (False, "public")
    approve = {"approval_id": status["approval"]["approval_id"], "reviewer": "reviewer@example.org"}
    approved = client.post("/api/platform/approve", json=approve)
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    after = properties(client, status)
    assert (after["app:published"], after["app:approved_by"]) == (True, "reviewer@example.org")


def test_submitting_the_same_ids_again_makes_the_next_revision(
    running: System, client: httpx.Client, small_vector: Path
) -> None:
    body = request(running, small_vector)
    first = finished(running, client, body)
    small_vector.write_text(small_vector.read_text().replace("Ort", "Stadt"))
    running.upload(small_vector, "bronze-vectors", str(body["file_name"]))
    finished(running, client, {**body, "processing_options": {"overwrite": True}})
    found = client.get("/api/artifacts", params={"request_id": first["request_id"]}).json()["artifacts"]
    newest, oldest = found
    assert [a["revision"] for a in found] == [2, 1]
    assert (newest["supersedes"], oldest["superseded_by"]) == (oldest["artifact_id"], newest["artifact_id"])
    assert [a["status"] for a in found] == ["current", "superseded"]


@pytest.fixture
def map_server() -> Iterator[Remote]:
    """An ArcGIS MapServer as it describes itself."""
    described = {"currentVersion": 11.1, "mapName": "Watersheds", "capabilities": "Map,Query,Data", "layers": []}
    json_type = {"Content-Type": "application/json"}
    with serving() as remote:
        remote.answer = lambda _: Says(json.dumps(described).encode(), headers=json_type)
        yield remote


def test_an_external_service_is_registered_listed_checked_and_counted(client: httpx.Client, map_server: Remote) -> None:
    url = f"{map_server.url}/arcgis/rest/services/wbd/MapServer"
    made = client.post("/api/jobs/services/register", json={"url": url, "name": "USGS WBD"})
    assert (made.status_code, made.json()["service"]["service_type"]) == (201, "arcgis_mapserver"), made.text
    service = made.json()["service"]["service_id"]
    listed = client.get("/api/jobs/services").json()["services"]
    assert service in {s["service_id"] for s in listed}
    before = len(map_server.asked)
    checked = client.post(f"/api/jobs/services/{service}/check")
    assert (checked.status_code, checked.json()["service"]["status"]) == (200, "active"), checked.text
    assert len(map_server.asked) > before, "it was asked, not remembered"
    assert client.get("/api/jobs/services/stats").json()["total"] >= 1


def test_an_invalid_access_level_is_refused_by_name(running: System, client: httpx.Client, small_vector: Path) -> None:
    answer = client.post("/api/platform/submit", json=request(running, small_vector, access_level="INVALID"))
    refusal = answer.json()
    assert (answer.status_code, refusal["error_type"]) == (400, "ValidationError")
    assert all(word in refusal["error"] for word in ("access_level", "public", "ouo", "restricted"))


@pytest.mark.parametrize("written", ["OUO", "ouo", "Restricted", "PUBLIC"])
def test_an_access_level_is_read_whatever_its_case(
    running: System, client: httpx.Client, small_vector: Path, written: str
) -> None:
    answer = client.post("/api/platform/submit", json=request(running, small_vector, access_level=written))
    assert answer.status_code == 202, answer.text
    status = client.get(answer.json()["monitor_url"]).json()
    assert status["access_level"] == written.lower()
    parameters = client.get(f"/api/jobs/status/{status['job_id']}").json()["parameters"]
    assert parameters["access_level"] == written.lower()


def test_without_an_access_level_data_is_for_official_use_only(
    running: System, client: httpx.Client, small_vector: Path
) -> None:
    status = finished(running, client, request(running, small_vector))
    assert status["access_level"] == "ouo"
    assert properties(client, status)["platform:access_level"] == "ouo"
    approval = client.get(f"/api/approvals/{status['approval']['approval_id']}").json()
    assert approval["classification"] == "ouo"


def test_a_raster_s_item_and_tasks_know_its_access_level(
    running: System, client: httpx.Client, small_raster: Path
) -> None:
    status = finished(running, client, request(running, small_raster, access_level="Restricted"))
    assert properties(client, status)["platform:access_level"] == "restricted"
    tasks = query(
        running,
        "SELECT t.task_type, jsonb_path_query_first(t.parameters, '$.**.access_level') #>> '{}' FROM app.tasks t"
        " JOIN app.jobs j ON j.job_key = t.job_key WHERE j.job_id = %s ORDER BY t.stage",
        status["job_id"],
    )
    # The first only looks at the file; those that make something of it are told for whom.
    assert [level for _, level in tasks] == [None, "restricted", "restricted"]


def test_the_health_of_the_data_factory_is_told(client: httpx.Client) -> None:
    health = client.get("/api/admin/adf/health")
    assert health.status_code == 200
    assert health.json().items() >= {"configured": False, "healthy": False}.items(), "these systems have none"


@pytest.mark.parametrize("job_type", ["process_vector", "process_raster_v2", "process_raster_docker"])
def test_a_pipeline_does_not_start_without_an_access_level(client: httpx.Client, job_type: str) -> None:
    parameters = {"blob_name": "a.tif", "container_name": "bronze-rasters"}
    refused = client.post(f"/api/jobs/submit/{job_type}", json=parameters)
    assert (refused.status_code, "access_level" in refused.json()["error"]) == (400, True), refused.text


def test_the_history_of_a_job_says_for_whom_its_data_is(
    running: System, client: httpx.Client, small_vector: Path
) -> None:
    status = finished(running, client, request(running, small_vector, access_level="restricted"))
    client.post("/api/platform/approve", json={"job_id": status["job_id"], "reviewer": "r@example.org"})
    events = client.get(f"/api/jobs/{status['job_id']}/events", params={"limit": 500}).json()["events"]
    steps = {e["checkpoint_name"]: e["event_data"] for e in events}
    assert steps["review_opened"]["access_level"] == "restricted"
    assert steps["approval_approve"]["status"] == "approved"


def test_twenty_approvals_at_once_make_one_publication(
    running: System, client: httpx.Client, small_vector: Path
) -> None:
    status = finished(running, client, request(running, small_vector, access_level="public"))
    approval = status["approval"]["approval_id"]

    def approve(number: int) -> int:
        body = {"approval_id": approval, "reviewer": f"r{number}@example.org"}
        return client.post("/api/platform/approve", json=body).status_code

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(approve, range(20)))
    assert sorted(answers) == [200] + [409] * 19
    steps = client.get(f"/api/approvals/{approval}/history").json()["steps"]
    assert [s["to_status"] for s in steps] == ["pending", "approved"]
    record = client.get(f"/api/approvals/{approval}").json()
    assert properties(client, status)["app:approved_by"] == record["reviewer"]


def test_every_line_of_the_checklists_names_tests_that_exist() -> None:
    missing = []
    for name in itertools.chain.from_iterable(LINES.values()):
        file, _, test = name.rpartition("::")
        tree = ast.parse((TESTS / (file or f"acceptance/{Path(__file__).name}")).read_text(encoding="utf-8"))
        if test not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            missing.append(name)
    assert missing == []
