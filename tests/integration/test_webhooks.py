"""Partners are told at their own address: signed, repeated until taken, written down, and sent nowhere private."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from config import OutboundSettings, WebhookSettings
from core.contracts.storage import BlobName
from tests.support.api import Api, serve
from tests.support.remote import LOOPBACK, Asked, Remote, Says, serving
from triggers.timers import TIMERS

SECRET = WebhookSettings(WEBHOOK_SECRET=SecretStr("a secret of sixteen characters"))


@pytest.fixture
def partner() -> Iterator[Remote]:
    """The partner's server, which takes everything."""
    with serving() as running:
        running.answer = lambda _: Says(status=204)
        yield running


@pytest.fixture
def api(db: str, tmp_path: Path) -> Iterator[Api]:
    """The API, which may call this machine."""
    with serve(db, tmp_path, webhooks=SECRET, outbound=OutboundSettings(OUTBOUND_ALLOWED_NETWORKS=LOOPBACK)) as made:
        yield made


def submit(api: Api, url: str, *, valid: bool = True, by: str = "ann") -> dict:
    point = {"type": "Point", "coordinates": [30, -2]}
    feature = {"type": "Feature", "properties": {"name": "x"}, "geometry": point if valid else None}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    api.runtime.storage.put(text.encode(), BlobName("bronze-vectors", "towns.geojson"))
    body = {
        "dataset_id": "towns",
        "resource_id": "r",
        "version_id": "v1",
        "container_name": "bronze-vectors",
        "file_name": "towns.geojson",
        "callback_url": url,
    }
    answer = api.of(by).post("/api/platform/submit", json=body)
    return {"status": answer.status_code, **answer.json()}


def event(asked: Asked) -> dict:
    return json.loads(asked.body)


def log(api: Api) -> list[tuple[str, int | None]]:
    found = api.get("/api/admin/webhooks")["deliveries"]
    return [(d["event_type"], d["status_code"]) for d in found][::-1]


def test_the_end_of_the_job_and_every_decision_are_told(api: Api, partner: Remote) -> None:
    made = submit(api, f"{partner.url}/hook")
    api.drain()
    api.runtime.machine.sweep()
    approval = api.get("/api/platform/approvals", "ann")["approvals"][0]["approval_id"]
    for verb, body in (("reject", {"reason": "x"}), ("resubmit", {}), ("approve", {}), ("revoke", {"reason": "y"})):
        assert api.of("rita").post(f"/api/approvals/{approval}/{verb}", json=body).status_code == 200
        api.runtime.machine.sweep()
    told = [event(a) for a in partner.asked]
    assert [e["type"] for e in told] == [
        "geomachine.job.completed",
        "geomachine.approval.rejected",
        "geomachine.approval.approved",
        "geomachine.approval.revoked",
    ]
    assert {(e["specversion"], e["subject"], e["datacontenttype"]) for e in told} == {
        ("1.0", made["request_id"], "application/json")
    }
    assert len({e["id"] for e in told}) == 4
    assert told[0]["data"]["status"] == "completed"
    assert (
        told[1]["data"].items() >= {"approval_id": approval, "reason": "x", "by": "rita", "dataset_id": "towns"}.items()
    )
    assert {a.headers["content-type"] for a in partner.asked} == {"application/cloudevents+json"}
    assert [status for _, status in log(api)] == [204] * 4


def test_the_signature_is_what_standard_webhooks_computes(api: Api, partner: Remote) -> None:
    submit(api, f"{partner.url}/hook")
    api.drain()
    api.runtime.machine.sweep()
    (asked,) = partner.asked
    secret = api.get("/api/platform/webhook-secret", "ann")["secret"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{expected}"
    assert asked.headers["webhook-id"] == event(asked)["id"]
    assert api.get("/api/platform/webhook-secret", "bob")["secret"] != secret


def test_a_failed_job_is_told_with_its_reason(api: Api, partner: Remote) -> None:
    submit(api, f"{partner.url}/hook", valid=False)
    api.drain()
    api.runtime.machine.sweep()
    (told,) = [event(a) for a in partner.asked]
    assert (told["type"], told["data"]["error_code"]) == ("geomachine.job.failed", "NO_FEATURES")


def test_what_is_not_taken_is_sent_again_under_the_same_id(api: Api, partner: Remote) -> None:
    answers = iter([Says(status=500), Says(status=302, headers={"Location": partner.url}), Says()])
    partner.answer = lambda _: next(answers)
    submit(api, f"{partner.url}/hook")
    api.drain()
    for _ in range(5):
        api.runtime.machine.sweep()
    assert len({a.headers["webhook-id"] for a in partner.asked}) == 1
    assert log(api) == [("job.completed", 500), ("job.completed", 302), ("job.completed", 200)]


def test_deliveries_are_kept_as_long_as_the_events_of_jobs(api: Api, partner: Remote) -> None:
    submit(api, f"{partner.url}/hook")
    api.drain()
    api.runtime.machine.sweep()
    retention = next(timer for timer in TIMERS if timer.name == "retention")
    api.query("UPDATE app.webhook_deliveries SET at = now() - interval '29 days'")
    retention.run(api.runtime)
    assert log(api) == [("job.completed", 204)]
    api.query("UPDATE app.webhook_deliveries SET at = now() - interval '31 days'")
    retention.run(api.runtime)
    assert log(api) == []


def test_an_event_that_was_given_up_is_a_dead_letter_until_an_admin_sends_it_again(api: Api, partner: Remote) -> None:
    partner.answer = lambda _: Says(status=503)
    submit(api, f"{partner.url}/hook")
    api.drain()
    for _ in range(12):
        api.runtime.machine.sweep()
    assert len(partner.asked) == 10
    assert api.query("SELECT kind::text, state::text FROM app.dead_letters") == [("callback", "open")]
    partner.answer = lambda _: Says()
    name = event(partner.asked[0])["id"]
    assert api.of("ada").post(f"/api/admin/webhooks/{name}/replay").status_code == 202
    api.runtime.machine.sweep()
    assert event(partner.asked[-1])["id"] == name
    assert api.query("SELECT state::text, resolved_by FROM app.dead_letters") == [("redriven", "ada")]
    assert log(api)[-1] == ("job.completed", 200)
    assert api.of("ada").post("/api/admin/webhooks/nothing/replay").status_code == 404


@pytest.mark.parametrize(
    "url", ["http://10.0.0.8/hook", "http://169.254.169.254/latest", "ftp://example.org/x", "hook"]
)
def test_addresses_that_must_not_be_called_are_refused_with_the_request(api: Api, url: str) -> None:
    refused = submit(api, url)
    assert (refused["status"], "callback_url" in refused["error"]) == (400, True)
    assert api.query("SELECT count(*) FROM app.jobs") == [(0,)]


def test_an_address_that_turned_private_is_not_called(api: Api, partner: Remote) -> None:
    submit(api, f"{partner.url}/hook")
    api.query("UPDATE app.api_requests SET callback_url = 'http://10.0.0.8/hook'")
    api.drain()
    api.runtime.machine.sweep()
    (delivery,) = api.get("/api/admin/webhooks")["deliveries"]
    assert (delivery["status_code"], delivery["url"]) == (None, "http://10.0.0.8/hook")
    assert partner.asked == []


def test_without_a_secret_nothing_is_promised(db: str, tmp_path: Path, partner: Remote) -> None:
    with serve(db, tmp_path, outbound=OutboundSettings(OUTBOUND_ALLOWED_NETWORKS=LOOPBACK)) as made:
        refused = submit(made, f"{partner.url}/hook")
        assert (refused["status"], "sends no webhooks" in refused["error"]) == (400, True)
        assert made.of("ann").get("/api/platform/webhook-secret").status_code == 404
