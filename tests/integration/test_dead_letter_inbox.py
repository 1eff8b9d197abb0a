"""The dead-letter inbox over HTTP: grouped, shown, mended, redriven, discarded; for admins only."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.support.api import Api

INBOX = "/api/admin/dead-letters"


def post(api: Api, path: str, body: dict | None = None, by: str = "ada") -> httpx.Response:
    return api.of(by).post(f"{INBOX}{path}", json=body)


def dead(api: Api, name: str, behaviour: str = "permanent", kind: str = "probe_light") -> str:
    job = api.submit(kind, name=name, behaviour=behaviour)
    api.drain()
    return job


def letters(api: Api, **query: object) -> list[dict]:
    return api.get(INBOX, group=False, **query)["dead_letters"]


def test_letters_are_grouped_by_what_their_errors_have_in_common(api: Api) -> None:
    for n in range(3):
        dead(api, f"p{n}")
    dead(api, "t", "transient")
    found = api.get(INBOX)
    assert [(g["error_code"], g["count"], g["jobs"]) for g in found["groups"]] == [
        ("STORAGE_UNAVAILABLE", 1, 1),
        ("INVALID_RASTER", 3, 3),
    ]
    common = found["groups"][1]
    assert common["first_seen"] < common["last_seen"]
    assert common["example_id"] in [letter["dead_letter_id"] for letter in letters(api)]
    assert len(letters(api, fingerprint=common["fingerprint"])) == 3
    assert [letter["cause"] for letter in letters(api, cause="exhausted")] == ["exhausted"]
    assert letters(api, kind="callback") == letters(api, job_type="other") == letters(api, state="discarded") == []
    assert len(letters(api, error_code="INVALID_RASTER", state="any")) == 3


def test_letters_are_paged_while_more_arrive(api: Api) -> None:
    for n in range(5):
        dead(api, f"p{n}")
    whole = [letter["dead_letter_id"] for letter in letters(api)]
    page = api.get(INBOX, group=False, limit=2)
    dead(api, "late")
    seen = [letter["dead_letter_id"] for letter in page["dead_letters"]]
    while page["next_cursor"]:
        page = api.get(INBOX, group=False, limit=2, cursor=page["next_cursor"])
        seen += [letter["dead_letter_id"] for letter in page["dead_letters"]]
    assert seen == whole
    assert api.of("ada").get(INBOX, params={"cursor": page["next_cursor"] or "W10"}).status_code == 400


def test_a_letter_is_shown_with_every_failed_attempt_and_what_happened_last(api: Api) -> None:
    job = dead(api, "shown", "transient", "probe_heavy")
    [letter] = letters(api)
    found = api.get(f"{INBOX}/{letter['dead_letter_id']}")
    assert found["dead_letter"]["payload"] == {"key": "key-0", "behaviour": "transient"}
    assert [a["attempt"] for a in found["error_history"]] == [1, 2, 3]
    assert {a["code"] for a in found["error_history"]} == {"STORAGE_UNAVAILABLE"}
    assert found["events"][0]["event_type"] == "task_failed"
    assert found["events"][0]["task_id"] == f"{job}-s2-0"
    assert found["job_status"] == "failed"
    assert api.of("ada").get(f"{INBOX}/999").status_code == 404
    assert api.of("ada").get(f"{INBOX}/x").status_code == 400


def test_a_mended_letter_runs_again_to_success_and_its_job_remembers_who(api: Api) -> None:
    job = dead(api, "mended")
    [letter] = letters(api)
    path = f"{INBOX}/{letter['dead_letter_id']}"
    wrong = api.of("ada").patch(path, json={"parameters": {"behaviour": 7, "colour": "red"}})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "behaviour" in wrong.json()["error"]
    assert "colour" in wrong.json()["error"]
    for text in ("\0", "\ud800"):
        assert api.of("ada").patch(path, content=json.dumps({"parameters": {"key": text}})).status_code == 400
    mended = api.of("ada").patch(path, json={"parameters": {"behaviour": "done"}})
    assert mended.json()["dead_letter"]["payload"] == {"key": "key-0", "behaviour": "done"}
    answer = post(api, f"/{letter['dead_letter_id']}/redrive")
    assert (answer.status_code, answer.json()["dead_letter"]["state"]) == (202, "redriven")
    assert answer.json()["dead_letter"]["resolved_by"] == "ada"
    api.drain()
    assert [r["status"] for r in api.get(f"/api/jobs/{job}/runs")["runs"]] == ["completed", "failed"]
    told = api.get(f"/api/jobs/{job}/events", run=1, event_type="status_update")["events"]
    assert [(e["checkpoint_name"], e["event_data"]["by"]) for e in told] == [
        ("dead_letter_edited", "ada"),
        ("dead_letter_redriven", "ada"),
    ]
    again = post(api, f"/{letter['dead_letter_id']}/redrive")
    assert (again.status_code, "already" in again.json()["error"]) == (409, True)
    assert api.of("ada").patch(path, json={"parameters": {}}).status_code == 409


def test_a_letter_of_a_job_that_goes_on_waits_for_its_end(api: Api) -> None:
    api.submit("probe_light_partial", name="busy", widths=[3, 1, 1], behaviours={"1/0": "permanent"})
    api.runtime.machine.process(api.claim()[0])
    [letter] = letters(api)
    refused = post(api, f"/{letter['dead_letter_id']}/redrive")
    assert (refused.status_code, "has not ended" in refused.json()["error"]) == (409, True)


def test_what_a_stage_advance_died_of_has_no_parameters_of_its_own(api: Api) -> None:
    api.submit(name="breaks", break_finalize=True)
    api.drain()
    [letter] = letters(api)
    refused = api.of("ada").patch(f"{INBOX}/{letter['dead_letter_id']}", json={"parameters": {"name": "x"}})
    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")


def test_all_letters_of_an_error_are_redriven_at_once(api: Api) -> None:
    jobs = [dead(api, f"p{n}") for n in range(3)]
    dead(api, "other", "transient")
    fingerprint = letters(api, error_code="INVALID_RASTER")[0]["fingerprint"]
    answer = post(api, "/redrive", {"fingerprint": fingerprint})
    assert (answer.status_code, answer.json()["redriven"]) == (202, 3)
    assert [letter["error_code"] for letter in letters(api)] == ["STORAGE_UNAVAILABLE"]
    assert {api.get(f"/api/jobs/status/{job}")["run"] for job in jobs} == {2}
    assert post(api, "/redrive", {"all": True}).json()["redriven"] == 1


def test_letters_of_one_job_are_redriven_by_one_new_run(api: Api) -> None:
    job = api.submit(
        "probe_light_collect", name="many", widths=[4, 1, 1], behaviours={f"1/{n}": "permanent" for n in range(4)}
    )
    api.drain()
    answer = post(api, "/redrive", {"all": True}).json()
    assert (answer["redriven"], answer["resolved"]) == (4, 0)
    assert api.get(f"/api/jobs/{job}/runs")["count"] == 2


def test_letters_are_discarded_only_with_a_reason(api: Api) -> None:
    job = dead(api, "one")
    dead(api, "two")
    number = letters(api)[-1]["dead_letter_id"]
    for body in (None, {}, {"reason": " "}, {"reason": "\0"}):
        assert post(api, f"/{number}/discard", body).status_code == 400
    answer = post(api, f"/{number}/discard", {"reason": "a test file"}).json()["dead_letter"]
    assert (answer["state"], answer["resolved_by"], answer["resolution"]) == ("discarded", "ada", "a test file")
    assert api.get(f"/api/jobs/status/{job}")["status"] == "failed"
    assert post(api, f"/{number}/discard", {"reason": "again"}).status_code == 409
    assert post(api, "/discard", {"all": True}).status_code == 400
    assert post(api, "/discard", {"all": True, "reason": "spring cleaning"}).json()["discarded"] == 1
    assert letters(api) == []


@pytest.mark.parametrize(
    "body", [{}, {"all": True, "fingerprint": "0" * 32}, {"fingerprint": "x"}, {"everything": True}]
)
def test_a_bulk_command_says_what_it_is_about(api: Api, body: dict) -> None:
    assert post(api, "/redrive", body).status_code == 400


def test_a_job_run_again_from_the_start_takes_its_letters_along(api: Api) -> None:
    job = dead(api, "again")
    assert api.of("ann").post(f"/api/jobs/{job}/resubmit").status_code == 202
    assert letters(api) == []
    assert letters(api, state="redriven")[0]["resolution"] == "run 2"
