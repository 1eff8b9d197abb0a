"""The Python client against the API itself: every named call, through the real routes."""

from __future__ import annotations

import pytest

from clients.python.geomachine_client import ApiError, Client, JobStatus, Submission
from core.contracts.storage import BlobName
from tests.support.api import Api

PLACES = (
    b'{"type": "Feature", "properties": {"name": "Quito"}, "geometry": {"type": "Point", "coordinates": [-78.5, -0.2]}}'
)


def client(api: Api, caller: str) -> Client:
    return Client("http://testserver", http=api.of(caller))


@pytest.fixture
def submission(api: Api) -> Submission:
    api.runtime.storage.put(PLACES, BlobName("bronze-vectors", "quito.geojson"))
    names = {"dataset_id": "places", "resource_id": "quito", "version_id": "v1"}
    return Submission(**names, container_name="bronze-vectors", file_name="quito.geojson", access_level="public")


def test_a_dataset_goes_from_submission_to_publication_by_the_client_alone(api: Api, submission: Submission) -> None:
    ann, rex, ada = client(api, "ann"), client(api, "rex"), client(api, "ada")
    assert ann.plan(submission).valid
    made = ann.submit(submission)
    assert made.job_status is JobStatus.QUEUED
    assert ann.submit(submission).job_id == made.job_id
    api.drain()
    ended = ann.wait(made.request_id, seconds=5)
    assert ended.job_status is JobStatus.COMPLETED, ended.job_error
    assert ended.approval is not None and ended.approval.status == "pending"
    pending = rex.approvals(status="pending")
    assert [a.approval_id for a in pending.approvals] == [ended.approval.approval_id]
    assert rex.approve(ended.approval.approval_id, notes="Right.").approval.status == "approved"
    assert rex.revoke(ended.approval.approval_id, "Not any more.").approval.status == "revoked"
    assert rex.approval(ended.approval.approval_id).status == "revoked"
    assert [e.action for e in ada.audit(actor="rex")] == ["approval.revoke", "approval.approve"]


def test_a_submission_replaces_what_there_is_and_names_where_webhooks_go(api: Api, submission: Submission) -> None:
    ann = client(api, "ann")
    ann.submit(submission)
    api.drain()
    replacing = submission.model_copy(update={"operation": "UPDATE", "title": "Again"})
    with pytest.raises(ApiError) as refused:
        ann.submit(replacing.model_copy(update={"callback_url": "ftp://hooks.example/"}))
    assert refused.value.message.startswith("callback_url: ")
    assert ann.submit(replacing).job_status is JobStatus.QUEUED
    assert api.query("SELECT operation, retry_count FROM app.api_requests") == [("UPDATE", 1)]


def test_jobs_are_listed_cancelled_and_retried(api: Api) -> None:
    ann = client(api, "ann")
    first, second = api.submit(name="a"), api.submit(name="b", behaviour="permanent")
    assert ann.cancel(first, "No longer needed.").run == 1
    api.drain()
    assert {j.job_id: j.status for j in ann.all_jobs()} == {first: JobStatus.CANCELLED, second: JobStatus.FAILED}
    assert ann.retry(second).run == 2
    assert ann.job(second)["run"] == 2
    with pytest.raises(ApiError) as refused:
        client(api, "bob").job(second)
    assert (refused.value.code, ann.explain(refused.value.code).http_status) == ("NOT_FOUND", 404)


def test_keys_are_made_replaced_and_withdrawn(api: Api) -> None:
    ada = client(api, "ada")
    made = ada.create_key("acme", ["partner"], days=1)
    assert client(api, made.secret_key).jobs().jobs == []
    again = ada.rotate_key(made.key.key_id)
    assert [k.key_id for k in ada.keys(client_id="acme")] == [again.key.key_id]
    assert ada.revoke_key(again.key.key_id).active is False
    assert ada.ready()
    assert ada.health()["status"] in ("healthy", "unhealthy")
