"""Every answer that partners of the earlier system parse: its status, and each of its fields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from core.contracts.storage import BlobName
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from tests.integration.test_revisions import put_points
from tests.support.api import Api, serve
from tests.support.raster import write_tiff

RASTER = {"dataset_id": "Hills", "resource_id": "dem", "version_id": "v1"}
VECTOR = {"dataset_id": "Hills", "resource_id": "wells", "version_id": "v1"}
ERROR = "success error error_type"
QUEUED = "queue_info{queued queue_type queue_name message_id job_id}"
JOB = "jobId jobType status stage totalStages parameters createdAt updatedAt taskSummary"

#: What is read of an answer, in `name{fields of it}` and `name[fields of each]`. Left out is what was never true:
#: stageResults, which was always empty, and architecture, pattern and schema_validated, which were constants.
CONTRACT = {
    "submit accepted": (202, "success request_id job_id job_type message monitor_url job_status_url"),
    "submit repeated": (200, "success request_id job_id message monitor_url job_status_url hint"),
    "submit invalid": (400, ERROR),
    "status": (
        200,
        "success request_id dataset_id resource_id version_id data_type created_at job_id job_type job_status"
        " job_stage job_result"
        " task_summary{total completed failed processing pending queued by_stage{1{total completed task_types}}}"
        " urls{job_status job_tasks} data_access{stac{collection items search} titiler{preview info tiles}}",
    ),
    "status of a vector": (200, "data_access{postgis{schema table} ogc_features{collection items viewer}}"),
    "status verbose": (
        200,
        "task_summary{tasks[task_id task_type stage status created_at updated_at error]}",
    ),
    "status unknown": (404, "success error hint"),
    "status list": (
        200,
        "success count requests[request_id dataset_id resource_id version_id job_id data_type created_at]",
    ),
    "job status deprecated": (200, f"{JOB} _deprecated _migration_url"),
    "unpublish raster": (
        202,
        "success request_id job_id job_type data_type dry_run stac_item_id collection_id message"
        " monitor_url job_status_url",
    ),
    "unpublish vector": (
        202,
        "success request_id job_id job_type data_type dry_run table_name message monitor_url job_status_url",
    ),
    "unpublish repeated": (200, "success request_id job_id message"),
    "unpublish collection": (202, "success mode collection_id total_items jobs_submitted jobs_retried jobs_skipped"),
    "unpublish approved": (409, ERROR),
    "approve": (200, "success approval_id status action adf_run_id stac_updated classification message"),
    "approve invalid": (400, ERROR),
    "approve again": (409, ERROR),
    "approve unknown": (404, ERROR),
    "revoke": (200, "success approval_id status stac_updated warning message"),
    "revoke invalid": (400, ERROR),
    "platform approvals": (200, "success approvals[approval_id job_id status] count limit offset status_counts"),
    "platform approval": (200, "success approval"),
    "platform approvals status": (
        200,
        "success statuses{hills-dem-v1{has_approval approval_id status is_approved reviewer reviewed_at}}",
    ),
    "platform health": (
        200,
        "status ready_for_jobs summary{database storage} jobs{queue_backlog processing failed_last_24h"
        " avg_completion_minutes}"
        " timestamp",
    ),
    "failures": (200, "period_hours total_failures total_jobs failure_rate common_patterns recent_failures"),
    "lineage": (
        200,
        "request_id job_id data_type status source processing outputs data_access created_at completed_at",
    ),
    "validate": (
        200,
        "valid file_exists file_size_mb data_type recommended_job_type processing_mode estimated_minutes"
        " warnings timestamp",
    ),
    "lookup": (
        200,
        "found stac{collection_id item_id item_url assets_url} processing{request_id job_id completed_at}"
        " metadata{bbox datetime} ddh_refs timestamp",
    ),
    "lookup of nothing": (200, "found reason message status_url"),
    "catalogue item": (200, "type id collection bbox geometry properties assets links"),
    "catalogue item unknown": (404, ERROR),
    "catalogue assets": (200, "assets titiler"),
    "catalogue dataset": (200, "items"),
    "job created": (202, f"job_id job_type status message parameters idempotent {QUEUED}"),
    "job repeated": (200, "job_id status parameters result_data created_at completed_at idempotent"),
    "job resubmitted by submitting": (
        202,
        f"job_id status attempt previous_status previous_stage previous_error tasks_cleared idempotent {QUEUED}",
    ),
    "job in progress": (200, "job_id status parameters created_at current_stage total_stages idempotent"),
    "job type unknown": (400, "error"),
    "job status": (200, f"{JOB} resultData request_id timestamp"),
    "job status of a failed one": (200, f"{JOB} errorDetails"),
    "job status unknown": (404, "error"),
    "job events": (200, "job_id event_count events[event_id event_type event_status created_at]"),
    "job failure": (200, "has_failure failure_event preceding_events"),
    "job resubmit plan": (
        200,
        "success original_job_id new_job_id job_type message"
        " cleanup_summary{tasks_deleted job_deleted tables_dropped stac_items_deleted blobs_deleted errors}",
    ),
    "job deletion plan": (200, "cleanup_summary{tasks_deleted job_deleted}"),
    "approvals": (200, "approvals[approval_id] count limit offset status_counts"),
    "approvals badly filtered": (400, "error"),
    "approval": (
        200,
        "approval_id job_id job_type classification status stac_item_id stac_collection_id reviewer notes"
        " rejection_reason"
        " revoked_at revoked_by revocation_reason adf_run_id created_at reviewed_at updated_at",
    ),
    "approval unknown": (404, "error"),
    "admin approve": (200, "success approval action adf_run_id stac_updated"),
    "admin reject": (200, "success approval"),
    "admin resubmit": (200, "success approval"),
    "approvals test": (201, "success message approval"),
}


@dataclass
class Walk:
    """Calls as somebody, and keeps every answer under its name."""

    api: Api
    answers: dict[str, tuple[int, dict]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    def call(self, name: str, method: str, path: str, body: object = None, *, by: str = "ann", **query: object) -> dict:
        answer = self.api.of(by).request(method, path, json=body, params=query)
        self.answers[name] = (answer.status_code, answer.json())
        self.headers[name] = dict(answer.headers)
        return answer.json()

    def get(self, name: str, path: str, *, by: str = "ann", **query: object) -> dict:
        return self.call(name, "GET", path, by=by, **query)

    def post(self, name: str, path: str, body: object = None, *, by: str = "ann") -> dict:
        return self.call(name, "POST", path, body, by=by)


@pytest.fixture(scope="module")
def walk(
    cluster: Cluster, templates: Templates, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walk]:
    """A partner's day: everything called once, in an order in which it succeeds."""
    name, home = templates.clone(template), tmp_path_factory.mktemp("contract")
    with serve(cluster.conninfo(name), home) as api:
        made = Walk(api)
        requests = _submits(made, home)
        _reads(made, requests)
        _decides(made, requests)
        _runs_jobs(made)
        _takes_back(made, requests)
        yield made
    templates.drop(name)


def _submits(walk: Walk, folder: Path) -> dict[str, dict]:
    storage = walk.api.runtime.storage
    heights = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    storage.upload(write_tiff(folder / "dem.tif", heights), BlobName("bronze-rasters", "dem.tif"))
    put_points(walk.api, "north", "south")
    raster = {**RASTER, "container_name": "bronze-rasters", "file_name": "dem.tif", "service_name": "Hills"}
    vector = {**VECTOR, "container_name": "bronze-vectors", "file_name": "towns.geojson", "access_level": "OUO"}
    submit = "/api/platform/submit"
    accepted = walk.post("submit accepted", submit, raster)
    wells = walk.post("submit vector", submit, vector)
    walk.api.drain()
    walk.post("submit repeated", submit, raster)
    walk.post("submit invalid", submit, {**raster, "access_level": "secret"})
    checked = {"data_type": "raster", "container_name": "bronze-rasters", "blob_name": "dem.tif"}
    walk.post("validate", "/api/platform/validate", checked)
    return {"raster": accepted, "vector": wells}


def _reads(walk: Walk, requests: dict[str, dict]) -> None:
    request, job = requests["raster"]["request_id"], requests["raster"]["job_id"]
    walk.get("status", f"/api/platform/status/{request}")
    walk.get("status by job", f"/api/platform/status/{job}")
    walk.get("status verbose", f"/api/platform/status/{request}", verbose="true")
    walk.get("status of a vector", f"/api/platform/status/{requests['vector']['request_id']}")
    walk.get("status unknown", "/api/platform/status/nothing")
    walk.get("status list", "/api/platform/status", limit=100, dataset_id="Hills")
    walk.get("job status deprecated", f"/api/platform/jobs/{job}/status")
    walk.get("platform health", "/api/platform/health")
    walk.get("failures", "/api/platform/failures", hours=24, limit=20)
    walk.get("lineage", f"/api/platform/lineage/{request}")
    walk.get("lookup", "/api/platform/catalog/lookup", **RASTER)
    walk.get("lookup of nothing", "/api/platform/catalog/lookup", **{**RASTER, "version_id": "v9"})
    walk.get("catalogue item", "/api/platform/catalog/item/hills/hills-dem-v1")
    walk.get("catalogue item unknown", "/api/platform/catalog/item/hills/none")
    walk.get("catalogue assets", "/api/platform/catalog/assets/hills/hills-dem-v1", include_titiler="true")
    walk.get("catalogue dataset", "/api/platform/catalog/dataset/Hills", limit=100)


def _decides(walk: Walk, requests: dict[str, dict]) -> None:
    job = requests["raster"]["job_id"]
    walk.get("platform approvals", "/api/platform/approvals", status="pending", limit=100, offset=0)
    walk.get("approvals", "/api/approvals", by="rita", status="pending", classification="ouo", limit=50, offset=0)
    walk.get("approvals badly filtered", "/api/approvals", by="rita", status="maybe")
    walk.get("approval unknown", f"/api/approvals/apr-{'0' * 32}", by="rita")
    walk.post("approve invalid", "/api/platform/approve", {"reviewer": "r@example.org"}, by="rita")
    walk.post("approve unknown", "/api/platform/approve", {"job_id": "0" * 64, "reviewer": "r@example.org"}, by="rita")
    approval = walk.post(
        "approve", "/api/platform/approve", {"job_id": job, "reviewer": "r@example.org", "notes": "fine"}, by="rita"
    )["approval_id"]
    body = {"approval_id": approval, "reviewer": "r@example.org"}
    walk.post("approve again", "/api/platform/approve", body, by="rita")
    walk.get("approval", f"/api/approvals/{approval}", by="rita")
    walk.get("platform approval", f"/api/platform/approvals/{approval}")
    walk.get("platform approvals status", "/api/platform/approvals/status", stac_item_ids="hills-dem-v1,none")
    named = {**RASTER, "dry_run": False}
    walk.post("unpublish approved", "/api/platform/unpublish", named)
    walk.post("revoke invalid", "/api/platform/revoke", {"approval_id": approval}, by="rita")
    reason = {"stac_item_id": "hills-dem-v1", "revoker": "r@example.org", "reason": "The licence has ended."}
    walk.post("revoke", "/api/platform/revoke", reason, by="rita")
    waiting = walk.post("approvals test", "/api/approvals/test", {"job_id": job, "classification": "ouo"}, by="rex")
    url = f"/api/approvals/{waiting['approval']['approval_id']}"
    walk.post("admin reject", f"{url}/reject", {"reviewer": "r@example.org", "reason": "no"}, by="rita")
    walk.post("admin resubmit", f"{url}/resubmit", by="rita")
    walk.post("admin approve", f"{url}/approve", {"reviewer": "r@example.org", "notes": "now"}, by="rita")


def _runs_jobs(walk: Walk) -> None:
    hello, failing = {"n": 2, "message": "hi"}, {"n": 1, "failure_rate": 1.0}
    submit = "/api/jobs/submit/hello_world"
    job = walk.post("job created", submit, hello, by="ada")["job_id"]
    walk.post("job in progress", submit, hello, by="ada")
    walk.api.drain()
    walk.post("job repeated", submit, hello, by="ada")
    walk.post("job type unknown", "/api/jobs/submit/helo", {}, by="ada")
    failed = walk.post("failing", submit, failing, by="ada")["job_id"]
    walk.api.drain()
    walk.get("job status", f"/api/jobs/status/{job}", by="ada")
    walk.get("job status of a failed one", f"/api/jobs/status/{failed}", by="ada")
    walk.get("job status unknown", f"/api/jobs/status/{'0' * 64}", by="ada")
    walk.get("job events", f"/api/jobs/{job}/events", by="ada", limit=50)
    walk.get("job failure", f"/api/jobs/{failed}/events/failure", by="ada")
    walk.post("job resubmit plan", f"/api/jobs/{failed}/resubmit", {"dry_run": True}, by="ada")
    walk.call("job deletion plan", "DELETE", f"/api/jobs/{failed}", by="ada", dry_run="true")
    walk.post("job resubmitted by submitting", submit, failing, by="ada")


def _takes_back(walk: Walk, requests: dict[str, dict]) -> None:
    table = {"table_name": "hills_wells_v1", "dry_run": False}
    walk.post("unpublish vector", "/api/platform/unpublish", table)
    walk.post("unpublish repeated", "/api/platform/unpublish", table)
    walk.post("unpublish collection", "/api/platform/unpublish", {"collection_id": "hills", "delete_collection": True})
    walk.post("unpublish raster", "/api/platform/unpublish", {**RASTER, "dry_run": False})


@pytest.mark.parametrize("answer", CONTRACT)
def test_an_answer_that_partners_parse_has_every_field(walk: Walk, answer: str) -> None:
    expected, fields = CONTRACT[answer]
    status, body = walk.answers[answer]
    assert status == expected, body
    assert list(_missing(body, _parsed(fields))) == []


def test_the_names_of_errors_are_those_that_partners_compare(walk: Walk) -> None:
    kinds = {name: walk.answers[name][1]["error_type"] for name in CONTRACT if CONTRACT[name][1] == ERROR}
    assert kinds == {
        "submit invalid": "ValidationError",
        "unpublish approved": "Conflict",
        "approve invalid": "ValidationError",
        "approve again": "ApprovalFailed",
        "approve unknown": "NotFound",
        "revoke invalid": "ValidationError",
        "catalogue item unknown": "NotFound",
    }
    again = walk.answers["approve again"][1]["error"]
    assert again == "Cannot approve: status is 'approved', expected 'pending'."


def test_values_that_partners_compare_are_what_they_were(walk: Walk) -> None:
    def of(name: str, *fields: str) -> list[object]:
        return [walk.answers[name][1][f] for f in fields]

    request = hashlib.sha256(b"Hills|dem|v1").hexdigest()[:32]
    assert of("submit accepted", "request_id", "monitor_url") == [request, f"/api/platform/status/{request}"]
    assert len(str(walk.answers["submit accepted"][1]["job_id"])) == 64
    assert of("submit repeated", "message") == ["Request already submitted (idempotent)"]
    assert of("status", "job_status", "request_id") == of("status by job", "job_status", "request_id")
    assert of("status", "job_status", "data_type") == ["completed", "raster"]
    assert str(of("status unknown", "error")[0]).startswith("No Platform request found for ID: ")
    assert of("status unknown", "hint") == ["ID can be either a request_id or job_id"]
    assert of("approve", "status", "action", "stac_updated", "message") == [
        "approved",
        "stac_updated",
        True,
        "Dataset approved successfully",
    ]
    warning = "Approved dataset has been revoked - this action is logged for audit"
    assert of("revoke", "status", "warning") == ["revoked", warning]
    assert of("job created", "status", "idempotent") == ["created", False]
    assert of("job repeated", "status", "idempotent") == ["already_completed", True]
    assert of("job in progress", "status", "idempotent") == ["queued", True]
    assert of("job resubmitted by submitting", "status", "previous_status") == ["resubmitted", "failed"]
    assert of("unpublish vector", "job_type", "table_name") == ["unpublish_vector", "hills_wells_v1"]
    assert of("lookup", "found") == [True] and of("lookup of nothing", "found") == [False]
    assert of("validate", "valid", "file_exists") == [True, True]


def test_the_deprecated_address_says_where_to_go(walk: Walk) -> None:
    headers, body = walk.headers["job status deprecated"], walk.answers["job status deprecated"][1]
    job = walk.answers["submit accepted"][1]["job_id"]
    assert body["_migration_url"] == f"/api/platform/status/{job}"
    assert "deprecation" in headers and "sunset" in headers
    assert headers["link"] == f'</api/platform/status/{job}>; rel="successor-version"'


Fields = dict[str, "Fields | list[Fields]"]


def _parsed(text: str) -> Fields:
    """`a b{c d}` as {"a": {}, "b": {"c": {}, "d": {}}}; with brackets, of each element of a list."""
    rest = text.replace("{", " { ").replace("}", " } ").replace("[", " [ ").replace("]", " ] ").split()
    return _fields(iter(rest))


def _fields(words: Iterator[str]) -> Fields:
    found: Fields = {}
    last = ""
    for word in words:
        if word in "}]":
            return found
        if word == "{":
            found[last] = _fields(words)
        elif word == "[":
            found[last] = [_fields(words)]
        else:
            last = word
            found[word] = {}
    return found


def _missing(body: object, fields: Fields, at: str = "") -> Iterator[str]:
    if not isinstance(body, dict):
        yield at
        return
    for name, inner in fields.items():
        if name not in body:
            yield f"{at}{name}"
        elif isinstance(inner, list):
            assert body[name], f"{at}{name} is empty, so nothing is shown of its elements"
            yield from _missing(body[name][0], inner[0], f"{at}{name}[].")
        elif inner:
            yield from _missing(body[name], inner, f"{at}{name}.")
