"""A job's history as lines of a log: page by page, by level and component, and only for who may see the job."""

from __future__ import annotations

import pytest

from tests.support.api import Api


def pages(api: Api, job: str, **query: object) -> list[dict]:
    """Every line, over all pages."""
    found: list[dict] = []
    cursor: str | None = None
    while True:
        page = api.get(f"/api/jobs/{job}/logs", "ann", cursor=cursor, **query)
        assert page["row_count"] == len(page["logs"]) <= query["limit"]
        found += page["logs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.fixture
def job(api: Api) -> str:
    made = api.submit(name="x", widths=[3, 2, 1])
    api.drain()
    return made


def test_pages_have_every_line_once_the_newest_first(api: Api, job: str) -> None:
    whole = api.get(f"/api/jobs/{job}/logs", "ann", limit=500)
    assert (whole["next_cursor"], whole["row_count"] > 6) == (None, True)
    assert whole["logs"][0]["event"] == "job_completed"
    moments = [line["timestamp"] for line in whole["logs"]]
    assert moments == sorted(moments, reverse=True)
    for limit in (1, 3, 4):
        assert pages(api, job, limit=limit) == whole["logs"]


def test_lines_of_one_component_are_paged_too(api: Api, job: str) -> None:
    whole = api.get(f"/api/jobs/{job}/logs", "ann", limit=500)["logs"]
    for component in ("job", "stage"):
        expected = [line for line in whole if line["component"] == component]
        assert len(expected) > 1
        assert pages(api, job, limit=1, component=component) == expected


def test_a_level_leaves_out_what_is_less_grave(api: Api) -> None:
    failed = api.submit(name="y", behaviour="permanent")
    api.drain()
    lines = pages(api, failed, limit=500, level="ERROR")
    assert {line["level"] for line in lines} == {"ERROR"}
    assert {"job", "task"} == {line["component"] for line in lines}
    assert all(line["message"] for line in lines)


def test_a_cursor_of_another_list_and_a_wrong_timespan_are_refused(api: Api, job: str) -> None:
    for query in ({"cursor": "WyJqb2JzIiwxXQ"}, {"timespan": "a week"}, {"limit": 501}, {"level": "LOUD"}):
        answer = api.of("ann").get(f"/api/jobs/{job}/logs", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), query


def test_somebody_elses_job_is_not_there(api: Api, job: str) -> None:
    assert api.of("bob").get(f"/api/jobs/{job}/logs").status_code == 404
    assert api.of("ada").get(f"/api/jobs/{job}/logs").status_code == 200
