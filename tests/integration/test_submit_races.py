"""Submissions of one dataset version at the same time: one decides, the others are answered from what it wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg

from core.contracts.storage import BlobName
from tests.support.api import Api

IDS = {"dataset_id": "towns", "resource_id": "r", "version_id": "v1"}


def put(api: Api, *names: str) -> None:
    point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [30, -2]}}
    text = json.dumps({"type": "FeatureCollection", "features": [point]})
    for name in names:
        api.runtime.storage.put(text.encode(), BlobName("bronze-vectors", name))


def submit(api: Api, file: str = "towns.geojson", key: str | None = None, **options: object) -> httpx.Response:
    body = {**IDS, "container_name": "bronze-vectors", "file_name": file, "processing_options": options}
    headers = {"Idempotency-Key": key} if key else {}
    return api.of("ann").post("/api/platform/submit", json=body, headers=headers)


@contextmanager
def held(api: Api) -> Iterator[None]:
    """Hold what decides about requests, so that whoever has looked waits before it writes."""
    with psycopg.connect(api.db) as conn:
        conn.execute("SELECT pg_advisory_xact_lock(7072, hashtext(request_id)) FROM app.api_requests")
        yield


def until_waiting(api: Api, number: int) -> None:
    waiting = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    for _ in range(600):
        if api.query(waiting) == [(number,)]:
            return
        time.sleep(0.05)
    raise AssertionError(f"{number} submissions do not wait")


def test_of_two_overwrites_from_different_files_one_is_refused(api: Api) -> None:
    put(api, "towns.geojson", "b.geojson", "c.geojson")
    assert submit(api).status_code == 202
    api.drain()
    answers: list[Future[httpx.Response]] = []
    with ThreadPoolExecutor(2) as threads:
        with held(api):
            for number, file in enumerate(("b.geojson", "c.geojson"), 1):
                answers.append(threads.submit(submit, api, file, overwrite=True))
                until_waiting(api, number)
        told = [answer.result() for answer in answers]
    assert sorted(answer.status_code for answer in told) == [202, 409], [answer.text for answer in told]
    [accepted] = [answer.json()["job_id"] for answer in told if answer.status_code == 202]
    assert api.query("SELECT job_id, retry_count FROM app.api_requests") == [(accepted, 1)]
    assert api.query("SELECT count(*) FROM app.jobs WHERE status = 'queued'") == [(1,)]
    api.drain()
    assert submit(api, "c.geojson", overwrite=True).status_code == 202, "sent again it is accepted"


def test_a_call_is_carried_out_once_when_it_is_sent_twice_at_the_same_time(api: Api) -> None:
    put(api, "towns.geojson")
    submit(api)
    api.drain()
    with ThreadPoolExecutor(2) as threads:
        with held(api):
            first = threads.submit(submit, api, key="one", overwrite=True)
            until_waiting(api, 1)
            second = threads.submit(submit, api, key="one", overwrite=True)
            assert second.result(30).status_code == 409
            assert second.result().json()["code"] == "CALL_IN_PROGRESS"
            assert int(second.result().headers["retry-after"]) > 0
        assert first.result().status_code == 202
    api.drain()
    again = submit(api, key="one", overwrite=True)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert again.json() == first.result().json()
    assert api.query("SELECT retry_count FROM app.api_requests") == [(1,)]


def test_the_key_of_a_call_whose_process_died_is_free_after_a_while(api: Api) -> None:
    put(api, "towns.geojson")
    assert submit(api, key="one").status_code == 202
    api.query("UPDATE app.idempotency_keys SET holder = 'gone', status_code = NULL, answer = NULL")
    assert submit(api, key="one").status_code == 409
    api.query("UPDATE app.idempotency_keys SET created_at = created_at - interval '6 minutes'")
    assert submit(api, key="one").status_code == 200
    assert api.query("SELECT status_code FROM app.idempotency_keys") == [(200,)]
