"""A job's history over HTTP: events, failure, timeline, waiting reasons, lists."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.support.api import Api, write_event
from triggers.http.paging import cursor


def pages(api: Api, path: str, key: str, **query: object) -> list[dict]:
    """Every row of a list, page by page."""
    found: list[dict] = []
    cursor = None
    for _ in range(1000):
        page = api.get(path, cursor=cursor, **query)
        found += page[key]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError(f"{path} never ends")


def test_events_can_be_filtered_and_paged_in_both_directions(api: Api) -> None:
    job = api.submit(name="events", widths=[1, 12, 1])
    api.drain()
    whole = pages(api, f"/api/jobs/{job}/events", "events", limit=500)
    assert [e["event_type"] for e in whole][:1] == ["job_created"]
    assert whole[-1]["event_type"] == "job_completed"
    assert pages(api, f"/api/jobs/{job}/events", "events", limit=3) == whole
    assert pages(api, f"/api/jobs/{job}/events", "events", limit=4, order="desc") == whole[::-1]
    done = api.get(f"/api/jobs/{job}/events", event_type="task_completed", stage=2, limit=500)
    assert done["event_count"] == len(done["events"]) == 12
    assert {e["stage"] for e in done["events"]} == {2}
    assert api.get(f"/api/jobs/{job}/events", stage=2, task_index=7)["events"][0]["task_id"] == f"{job}-s2-7"
    about_job = api.get(f"/api/jobs/{job}/events", include_task_events=False, limit=500)["events"]
    assert about_job == [e for e in whole if e["task_index"] is None]
    since = whole[5]["created_at"]
    assert api.get(f"/api/jobs/{job}/events", since=since, limit=500)["events"] == [
        e for e in whole if e["created_at"] >= since
    ]
    assert api.get(f"/api/jobs/{job}/events", event_status="failure")["events"] == []
    assert api.get(f"/api/jobs/{job}/events/latest", limit=3)["events"] == whole[:-4:-1]


def test_following_a_running_job_misses_no_event_that_appears_late_and_shows_none_twice(api: Api) -> None:
    job = api.submit(name="follow")
    [(key,)] = api.query("SELECT job_key FROM app.jobs WHERE job_id = %s", job)
    path = f"/api/jobs/{job}/events"
    first = api.get(path)
    with psycopg.connect(api.db) as slow, psycopg.connect(api.db) as quick:
        early = write_event(slow, key)  # numbered first, seen last
        late = write_event(quick, key)
        quick.commit()
        assert late > early
        second = api.get(path, cursor=first["next_cursor"])
        assert late not in [e["event_id"] for e in second["events"]]
        assert late in [e["event_id"] for e in api.get(f"{path}/latest")["events"]]
        slow.commit()
    third = api.get(path, cursor=second["next_cursor"])
    seen = [e["event_id"] for page in (first, second, third) for e in page["events"]]
    assert seen == sorted(set(seen))
    assert {early, late} <= set(seen)
    api.drain()
    rest = pages(api, path, "events", limit=2)
    assert [e["event_id"] for e in rest] == [
        n for (n,) in api.query("SELECT event_id FROM app.job_events WHERE job_key = %s ORDER BY 1", key)
    ]


def test_following_a_job_that_several_workers_run_tells_its_whole_history_once(api: Api) -> None:
    job = api.submit(name="busy", widths=[3, 150, 3])
    workers = [api.runtime.worker(f"w{n}") for n in range(3)]
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(api.drain, worker) for worker in workers]
        seen = [e["event_id"] for e in pages(api, f"/api/jobs/{job}/events", "events", limit=7)]
        for one in running:
            one.result()
    told = api.query(
        "SELECT event_id FROM app.job_events e JOIN app.jobs USING (job_key) WHERE job_id = %s ORDER BY 1", job
    )
    assert seen == [number for (number,) in told]
    assert len(seen) > 156


def test_the_summary_counts_every_event_and_times_every_stage(api: Api) -> None:
    job = api.submit(name="sum", widths=[1, 5, 1], behaviour="transient once")
    api.drain()
    found = api.get(f"/api/jobs/{job}/events/summary")
    counted = api.query(
        "SELECT e.event_type::text, count(*) FROM app.job_events e JOIN app.jobs USING (job_key)"
        " WHERE job_id = %s GROUP BY 1",
        job,
    )
    assert found["by_type"] == dict(counted)
    assert found["total"] == sum(n for _, n in counted) == sum(found["by_status"].values())
    assert found["retries"] == 1
    assert [s["name"] for s in found["stages"]] == ["one", "two", "three"]
    assert all(s["duration_ms"] >= 0 for s in found["stages"])
    assert found["first_event_at"] <= found["last_event_at"]


def test_the_failure_names_the_task_and_the_last_step_that_went_well(api: Api) -> None:
    job = api.submit(name="fails", widths=[1, 3, 1], behaviour="permanent")
    api.drain()
    found = api.get(f"/api/jobs/{job}/events/failure")
    assert found["has_failure"] is True
    assert found["failure_event"]["event_type"] == "task_failed"
    assert found["failure_event"]["error_code"] == "INVALID_RASTER"
    assert found["failure_event"]["task_id"] == f"{job}-s2-0"
    assert found["last_successful_step"]["event_status"] == "success"
    numbers = [e["event_id"] for e in found["preceding_events"]]
    assert numbers == sorted(numbers)
    assert numbers[-1] < found["failure_event"]["event_id"]
    assert "job_created" in [e["event_type"] for e in found["preceding_events"]]


def test_a_job_without_failures_says_so(api: Api) -> None:
    job = api.submit(name="fine")
    api.drain()
    found = api.get(f"/api/jobs/{job}/events/failure")
    assert (found["has_failure"], found["failure_event"], found["preceding_events"]) == (False, None, [])


def test_the_timeline_shows_every_attempt_of_a_heavy_task(api: Api) -> None:
    job = api.submit("probe_heavy", name="attempts", widths=[1, 2, 1], behaviour="checkpoint then fail")
    api.drain()
    found = api.get(f"/api/jobs/{job}/timeline")
    assert (found["job"]["status"], found["job"]["progress"]) == ("completed", 100)
    assert [(s["name"], s["tasks"]["total"], s["tasks"]["completed"]) for s in found["stages"]] == [
        ("one", 1, 1),
        ("two", 2, 2),
        ("three", 1, 1),
    ]
    task = next(t for t in found["tasks"] if (t["stage"], t["task_index"]) == (2, 0))
    failed, completed = task["attempts"]
    assert (failed["outcome"], failed["error_code"], failed["worker"]) == ("failed", "STORAGE_UNAVAILABLE", "tester")
    assert [c["name"] for c in failed["checkpoints"]] == ["phase 1"]
    assert failed["started_at"] <= failed["checkpoints"][0]["at"] <= failed["ended_at"] <= completed["started_at"]
    assert (completed["outcome"], completed["attempt"]) == ("completed", failed["attempt"] + 1)
    assert completed["ended_at"] == task["finished_at"]
    assert task["waiting_for"] is None


def test_a_light_task_starts_when_it_ended_less_how_long_it_took(api: Api) -> None:
    job = api.submit(name="light", widths=[1, 0, 0])
    api.drain()
    [task] = api.get(f"/api/jobs/{job}/timeline")["tasks"]
    started, ended = (datetime.fromisoformat(task[k]) for k in ("started_at", "finished_at"))
    assert abs((ended - started) - timedelta(milliseconds=task["duration_ms"])) < timedelta(milliseconds=2)
    assert [a["outcome"] for a in task["attempts"]] == ["completed"]


def test_interrupted_and_expired_attempts_are_told_apart_from_failed_ones(api: Api) -> None:
    job = api.submit("probe_heavy", name="kinds", widths=[1, 1, 1], behaviour="checkpoint then stop")
    lost = api.runtime.worker("lost", lease=0.001)
    api.claim(machine=lost)
    while not api.runtime.machine.store.sweep_leases("tester", 10):
        pass
    api.drain()
    tasks = api.get(f"/api/jobs/{job}/timeline")["tasks"]
    assert [a["outcome"] for a in tasks[0]["attempts"]] == ["lease_expired", "completed"]
    assert tasks[0]["attempts"][0]["worker"] == "lost"
    assert [a["outcome"] for a in tasks[1]["attempts"]] == ["interrupted", "completed"]


def test_status_says_what_a_job_waits_for(api: Api) -> None:
    first = api.submit(name="first", widths=[3, 1, 1])
    second = api.submit(name="second", widths=[1, 1, 1])
    status = api.get(f"/api/jobs/status/{second}")
    assert status["waiting_for"]["reason"] == "queued"
    assert status["waiting_for"]["items_ahead"] == 3
    assert (status["queue_position"], status["progress"], status["eta"]) == (4, 0, None)

    [held] = api.claim()
    status = api.get(f"/api/jobs/status/{first}")
    assert (status["waiting_for"]["reason"], status["waiting_for"]["worker"]) == ("running", "tester")
    assert status["queue_position"] is None
    assert (status["taskSummary"]["processing"], status["taskSummary"]["queued"]) == (1, 2)
    api.runtime.machine.process(held)
    status = api.get(f"/api/jobs/status/{first}")
    assert status["progress"] == pytest.approx(100 / 9, abs=0.1)
    assert datetime.fromisoformat(status["eta"]) > datetime.now(UTC) - timedelta(minutes=1)

    api.drain()
    status = api.get(f"/api/jobs/status/{first}")
    assert (status["waiting_for"], status["progress"], status["eta"]) == (None, 100, None)


def test_status_says_when_a_failed_attempt_is_tried_again_and_why(api: Api) -> None:
    job = api.submit("probe_heavy", name="retry", widths=[1, 1, 1], behaviour="transient")
    patient = api.runtime.worker("patient", backoff=3600)
    api.drain(patient)
    waiting = api.get(f"/api/jobs/status/{job}")["waiting_for"]
    assert (waiting["reason"], waiting["error_code"], waiting["stage"]) == ("retry", "STORAGE_UNAVAILABLE", 2)
    assert datetime.fromisoformat(waiting["until"]) > datetime.now(UTC) + timedelta(minutes=20)
    [task] = api.get(f"/api/jobs/{job}/timeline", stage=2)["tasks"]
    assert (task["status"], task["next_retry_at"]) == ("pending_retry", waiting["until"])
    assert task["waiting_for"]["reason"] == "retry"


def test_status_tells_a_silent_worker_and_a_pending_advance_from_work(api: Api) -> None:
    job = api.submit(name="silent", widths=[1, 1, 1])
    api.claim(machine=api.runtime.worker("lost", lease=0.001))
    waiting = api.get(f"/api/jobs/status/{job}")["waiting_for"]
    assert (waiting["reason"], waiting["worker"]) == ("lease_expired", "lost")
    empty = api.submit(name="empty", widths=[0, 1, 1])
    waiting = api.get(f"/api/jobs/status/{empty}")["waiting_for"]
    assert (waiting["reason"], waiting["stage"], waiting["task_index"]) == ("advance", 1, None)
    api.query("DELETE FROM app.queue q USING app.jobs j WHERE j.job_key = q.job_key AND j.job_id = %s", empty)
    assert api.get(f"/api/jobs/status/{empty}")["waiting_for"]["reason"] == "nothing"


def test_jobs_are_filtered_and_paged_while_others_arrive(api: Api) -> None:
    mine = [api.submit(name=f"j{i}") for i in range(12)]
    other = api.submit("probe_heavy", by="bob", name="other")
    first = api.get("/api/jobs", limit=5)
    assert [j["job_id"] for j in first["jobs"]] == [other, *mine[:7:-1]]
    added = api.submit(name="added")
    seen, cursor = [j["job_id"] for j in first["jobs"]], first["next_cursor"]
    while cursor:
        page = api.get("/api/jobs", limit=5, cursor=cursor)
        seen += [j["job_id"] for j in page["jobs"]]
        cursor = page["next_cursor"]
    assert seen == [other, *mine[::-1]]
    api.drain()
    assert api.get("/api/jobs", job_type="probe_heavy")["count"] == 1
    assert api.get("/api/jobs", submitted_by="bob")["jobs"][0]["job_id"] == other
    assert api.get("/api/jobs", status="completed", limit=500)["count"] == 14
    assert api.get("/api/jobs", status="failed")["jobs"] == []
    assert [j["job_id"] for j in api.get("/api/jobs", q=added[:12])["jobs"]] == [added]
    at = api.get("/api/jobs", q=mine[6])["jobs"][0]["created_at"]
    before = api.get("/api/jobs", created_before=at, limit=500)["jobs"]
    after = api.get("/api/jobs", created_after=at, limit=500)["jobs"]
    assert [j["job_id"] for j in before] == mine[5::-1]
    assert [j["job_id"] for j in after] == [added, other, *mine[:5:-1]]


def test_every_run_of_a_job_is_listed_and_its_history_kept(api: Api) -> None:
    job = api.submit(name="twice", widths=[1, 1, 1], behaviour="permanent")
    api.drain()
    api.submit(name="twice", widths=[1, 1, 1], behaviour="permanent")
    found = api.get(f"/api/jobs/{job}/runs")
    assert [(r["run"], r["status"]) for r in found["runs"]] == [(2, "queued"), (1, "failed")]
    assert api.get(f"/api/jobs/status/{job}")["status"] == "queued"
    assert api.get(f"/api/jobs/status/{job}", run=1)["status"] == "failed"
    assert api.get(f"/api/jobs/{job}/events/failure", run=1)["has_failure"] is True
    assert api.get(f"/api/jobs/{job}/events/failure")["has_failure"] is False
    assert api.of("ada").get(f"/api/jobs/{job}/events", params={"run": 3}).status_code == 404


def test_tasks_are_filtered_by_state_stage_worker_and_error(api: Api) -> None:
    job = api.submit(name="tasks", widths=[1, 4, 1], behaviour="transient once")
    patient = api.runtime.worker("patient", backoff=3600)
    api.drain(patient)
    path = f"/api/jobs/{job}/tasks"
    assert [t["task_index"] for t in api.get(path, stage=2, status="completed")["tasks"]] == [1, 2, 3]
    [waiting] = api.get(path, status="pending_retry")["tasks"]
    assert (waiting["task_id"], waiting["waiting_for"]["reason"]) == (f"{job}-s2-0", "retry")
    assert [t["task_id"] for t in api.get(path, error_code="STORAGE_UNAVAILABLE")["tasks"]] == [f"{job}-s2-0"]
    assert len(api.get(path, worker="patient")["tasks"]) == 5
    assert api.get(path, worker="nobody")["tasks"] == []
    assert api.get(path, status="queued")["tasks"] == api.get(path, status="failed")["tasks"] == []
    assert len(pages(api, path, "tasks", limit=2)) == 5


def test_a_partner_sees_only_his_own_jobs(api: Api) -> None:
    job = api.submit(by="ann", name="secret")
    for path in ("events", "events/latest", "events/summary", "events/failure", "timeline", "tasks", "runs"):
        assert api.of("bob").get(f"/api/jobs/{job}/{path}").status_code == 404, path
        assert api.of("ann").get(f"/api/jobs/{job}/{path}").status_code == 200, path
        assert api.of("rita").get(f"/api/jobs/{job}/{path}").status_code == 200, path
    assert api.of("bob").get(f"/api/jobs/status/{job}").status_code == 404
    assert api.get("/api/jobs", "bob")["jobs"] == []
    assert api.get("/api/jobs", "bob", submitted_by="ann")["jobs"] == []
    assert [j["job_id"] for j in api.get("/api/jobs", "ann")["jobs"]] == [job]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/jobs", {"cursor": "nonsense"}),
        ("/api/jobs", {"cursor": "W10"}),
        ("/api/jobs", {"q": "xyz"}),
        ("/api/jobs", {"status": "done"}),
        ("/api/jobs", {"created_after": "yesterday"}),
        ("/api/jobs", {"limit": 501}),
        ("/api/jobs", {"job_type": "a\0b"}),
        ("/api/jobs", {"submitted_by": "\0"}),
        ("/api/platform/status", {"dataset_id": "\0"}),
        ("/api/jobs/{job}/tasks", {"worker": "\0"}),
        ("/api/jobs/{job}/events", {"limit": 0}),
        ("/api/jobs/{job}/events", {"event_type": "party"}),
        ("/api/jobs/{job}/events", {"cursor": "WyJ0YXNrcyIsMSwyXQ"}),
        ("/api/jobs/{job}/events", {"order": "up"}),
        ("/api/jobs/{job}/tasks", {"stage": 0}),
        ("/api/jobs/{job}/timeline", {"cursor": "WyJ0YXNrcyIsMSwiMiJd"}),
        ("/api/jobs/{job}/timeline", {"cursor": "WyJ0YXNrcyIsMSw5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"}),
    ],
)
def test_a_wrong_filter_or_cursor_is_refused_by_name(api: Api, path: str, query: dict[str, object]) -> None:
    job = api.submit(name="wrong")
    answer = api.of("ada").get(path.replace("{job}", job), params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), answer.text
    assert next(iter(query)) in answer.json()["error"]


def test_an_id_with_nul_names_no_request(api: Api) -> None:
    assert api.of("ada").get("/api/platform/status/a%00b").status_code == 404


def test_a_forged_cursor_is_only_another_place_to_start(api: Api) -> None:
    job = api.submit(name="forged")
    for path, kind, numbers in (
        ("/api/jobs", "jobs", [(1 << 63) - 1, -1]),
        ("/api/jobs", "jobs", [-((1 << 63) - 1), 1 << 62]),
        (f"/api/jobs/{job}/events", "events-asc", [-((1 << 63) - 1)]),
        (f"/api/jobs/{job}/tasks", "tasks", [1 << 62, 0]),
    ):
        assert api.of("ada").get(path, params={"cursor": cursor(kind, *numbers)}).status_code == 200


def test_a_wrong_job_id_is_not_found(api: Api) -> None:
    for job in ("0" * 64, "nonsense", "'; DROP TABLE app.jobs", "a%00b", "A" * 64):
        for path in ("events", "events/failure", "timeline", "tasks", "runs"):
            answer = api.of("ada").get(f"/api/jobs/{job}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
