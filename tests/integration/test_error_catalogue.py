"""Every code that an answer or a row may carry is explained at /api/errors."""

from __future__ import annotations

from core.error_catalogue import catalogue
from tests.support.api import Api


def test_the_catalogue_is_open_to_everyone_and_complete(api: Api) -> None:
    client = api.of("ada")
    del client.headers["X-API-Key"]
    listed = client.get("/api/errors").json()["errors"]
    assert [e["code"] for e in listed] == [facts.code for facts in catalogue()]
    for entry in listed:
        assert client.get(f"/api/errors/{entry['code']}").json() == entry
        assert entry["cause"] and entry["fix"] and entry["meaning"].endswith(".")
        assert entry["example"]["code"] == entry["code"]
    assert client.get("/api/errors/NO_SUCH_CODE").status_code == 404
    assert client.get("/api/errors/x").status_code == 400


def test_an_answer_is_what_the_catalogue_says_of_its_code(api: Api) -> None:
    answers = [
        api.of("nobody").get("/api/jobs"),
        api.of("ann").get("/api/admin/keys"),
        api.of("ann").get("/api/nothing"),
        api.of("ann").put("/api/jobs"),
        api.of("ann").get("/api/jobs?limit=x"),
        api.of("ada").post("/api/jobs/submit/nothing", json={}),
    ]
    codes = {answer.json()["code"] for answer in answers}
    assert codes == {
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "METHOD_NOT_ALLOWED",
        "VALIDATION_ERROR",
        "UNKNOWN_JOB_TYPE",
    }
    for answer in answers:
        entry = api.get(f"/api/errors/{answer.json()['code']}")
        assert entry["http_status"] == answer.status_code
        assert set(entry["example"]) == set(answer.json())
