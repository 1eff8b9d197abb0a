"""The client against an API that answers what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from clients.python.geomachine_client import ApiError, Client, ClientError, Submission, Unreachable
from clients.python.geomachine_client.transport import Transport

SUBMISSION = Submission(dataset_id="d", resource_id="r", version_id="v", container_name="c", file_name="f.tif")
SUBMITTED = {
    "request_id": "a" * 32,
    "job_id": "b" * 64,
    "job_type": "process_raster_v2",
    "job_status": "queued",
    "message": "Request accepted",
    "added_by_a_newer_api": 1,
}


class Script:
    """Answers in order; remembers what was asked and how long was waited."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.waited: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        http = httpx.Client(transport=httpx.MockTransport(self), base_url="http://geo.example")
        client = Client("http://geo.example", http=http)
        client.raw = Transport(http, sleep=self.waited.append)
        return client


def test_an_answer_is_typed_and_keeps_what_is_new() -> None:
    script = Script(httpx.Response(202, json=SUBMITTED))
    made = script.client().submit(SUBMISSION)
    assert (made.job_id, made.job_status, made.added_by_a_newer_api) == ("b" * 64, "queued", 1)  # type: ignore[attr-defined]
    sent = json.loads(script.asked[0].content)
    assert sent == {
        "dataset_id": "d",
        "resource_id": "r",
        "version_id": "v",
        "container_name": "c",
        "file_name": "f.tif",
    }


@pytest.mark.parametrize(
    ("made", "name", "value"),
    [
        (lambda: Client("http://x", "k"), "x-api-key", "k"),
        (lambda: Client("http://x", token="t"), "authorization", "Bearer t"),
    ],
)
def test_the_credential_goes_into_its_header(made: Callable[[], Client], name: str, value: str) -> None:
    with made() as client:
        assert client.raw.http.headers[name] == value


def test_a_refusal_carries_code_hint_and_request_id() -> None:
    body = {
        "success": False,
        "error": "No.",
        "code": "CONFLICT",
        "hint": "Wait.",
        "request_id": "r1",
        "error_type": "Conflict",
    }
    with pytest.raises(ApiError) as refused:
        Script(httpx.Response(409, json=body)).client().retry("b" * 64)
    e = refused.value
    assert (e.status, e.code, e.hint, e.request_id, str(e)) == (409, "CONFLICT", "Wait.", "r1", "No. Wait.")


def test_a_busy_api_is_asked_again_after_the_time_it_asked_for() -> None:
    busy = httpx.Response(429, headers={"retry-after": "7"}, json={})
    script = Script(busy, httpx.Response(503, json={}), httpx.Response(202, json=SUBMITTED))
    assert script.client().submit(SUBMISSION).request_id == "a" * 32
    assert script.waited == [7.0, 0.5]


def test_a_lost_answer_is_asked_for_again_only_where_twice_is_once() -> None:
    lost = httpx.ReadError("lost")
    assert Script(lost, httpx.Response(202, json=SUBMITTED)).client().submit(SUBMISSION).job_id
    with pytest.raises(Unreachable):
        Script(lost).client().retry("b" * 64)
    refused = httpx.ConnectError("refused")
    done = {"job_id": "b" * 64, "run": 2, "message": "ok"}
    assert Script(refused, httpx.Response(202, json=done)).client().retry("b" * 64).run == 2
    with pytest.raises(Unreachable, match=r"geo\.example"):
        Script(*[refused] * 5).client().retry("b" * 64)


def test_a_submission_is_sent_again_as_the_same_call() -> None:
    lost = httpx.ReadError("lost")
    at_work = httpx.Response(409, headers={"retry-after": "3"}, json={"code": "CALL_IN_PROGRESS"})
    script = Script(lost, at_work, httpx.Response(202, json=SUBMITTED), httpx.Response(202, json=SUBMITTED))
    client = script.client()
    overwriting = SUBMISSION.model_copy(update={"processing_options": {"overwrite": True}})
    assert client.submit(overwriting).job_id == "b" * 64
    assert script.waited == [0.2, 3.0]
    client.submit(overwriting)
    keys = [asked.headers["idempotency-key"] for asked in script.asked]
    assert (len(set(keys[:3])), len(set(keys))) == (1, 2), "another call has another key"


def test_health_is_told_when_something_is_down_and_unreachable_when_nobody_answers() -> None:
    script = Script(httpx.Response(503, json={"status": "unhealthy"}))
    assert script.client().health() == {"status": "unhealthy"}
    with pytest.raises(Unreachable):
        Script(*[httpx.ConnectError("refused")] * 5).client().health()


def test_an_answer_that_is_no_json_is_told_as_such() -> None:
    with pytest.raises(ClientError, match="without JSON"):
        Script(httpx.Response(200, text="<html>")).client().status("x")


def test_a_made_key_is_not_shown_by_its_repr() -> None:
    key = {"key_id": "0" * 12, "client_id": "a", "name": "a", "roles": ["partner"], "active": True}
    key |= {"created_at": "2026-01-01T00:00:00Z", "expires_at": None, "last_used_at": None}
    made = (
        Script(httpx.Response(201, json={"key": key, "secret_key": "gmk_secret"})).client().create_key("a", ["partner"])
    )
    assert made.secret_key == "gmk_secret"
    assert "gmk_secret" not in repr(made)
