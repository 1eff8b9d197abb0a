"""`Idempotency-Key`: the same call is answered alike, and a key stands for one request only."""

from __future__ import annotations

import json

import httpx

from core.contracts.storage import BlobName
from tests.support.api import Api

BODY = {
    "dataset_id": "towns",
    "resource_id": "r",
    "version_id": "v1",
    "container_name": "bronze-vectors",
    "file_name": "towns.geojson",
}


def put(api: Api, name: str = "towns.geojson") -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [30, -2]}}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    api.runtime.storage.put(text.encode(), BlobName("bronze-vectors", name))


def send(api: Api, key: str, by: str = "ann", **changes: object) -> httpx.Response:
    return api.of(by).post("/api/platform/submit", json={**BODY, **changes}, headers={"Idempotency-Key": key})


def test_a_repeated_call_gets_the_first_answer_whatever_has_happened_since(api: Api) -> None:
    put(api)
    first = send(api, "one")
    api.drain()
    again = send(api, "one")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert send(api, "two").status_code == 200, "another key is another call: it is told how the request stands"


def test_a_key_stands_for_one_request_of_one_client(api: Api) -> None:
    put(api)
    assert send(api, "one").status_code == 202
    other = send(api, "one", version_id="v2")
    assert (other.status_code, "another request" in other.json()["error"]) == (409, True)
    assert api.query("SELECT count(*) FROM app.api_requests") == [(1,)]
    assert send(api, "one", by="bob", dataset_id="bobs").status_code == 202


def test_a_refused_call_leaves_its_key_free(api: Api) -> None:
    assert send(api, "one").status_code == 404
    put(api)
    assert send(api, "one").status_code == 202


def test_overwriting_twice_under_one_key_processes_once(api: Api) -> None:
    put(api)
    send(api, "first")
    api.drain()
    overwrite = {"processing_options": {"overwrite": True}}
    for _ in range(3):
        assert send(api, "again", **overwrite).status_code == 202
        api.drain()
    assert api.query("SELECT retry_count FROM app.api_requests") == [(1,)]


def test_keys_are_forgotten_after_a_week(api: Api) -> None:
    put(api)
    send(api, "one")
    assert api.runtime.idempotency.forget() == 0
    api.query("UPDATE app.idempotency_keys SET created_at = now() - interval '8 days'")
    assert api.runtime.idempotency.forget() == 1
