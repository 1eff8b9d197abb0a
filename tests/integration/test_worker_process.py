"""What does a dead, fat, slow or stopped worker process cost? Real processes, killed for real."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.support.workers import Workplace, kill, lives

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="watching processes needs /proc"),
]


@pytest.fixture
def place(db: str, tmp_path: Path) -> Workplace:
    return Workplace(db, tmp_path)


def history(task: dict) -> list[tuple[int, str]]:
    return [(error["attempt"], error["code"]) for error in task["error_history"]]


@pytest.mark.parametrize(("hazard", "how"), [("segfault", "signal 11"), ("abort", "signal 6"), ("exit", "exit code 0")])
@pytest.mark.parametrize("kind", ["hazard_light", "hazard_heavy"])
def test_a_handler_that_kills_its_process_costs_one_attempt(place: Workplace, kind: str, hazard: str, how: str) -> None:
    job = place.submit(kind, hazard, tasks=3, at=1)
    with place.worker():
        assert place.ended(job)["status"] == "completed"
    first, second, third = place.tasks()
    assert history(second) == [(1, "WORKER_CRASHED")]
    assert second["error_history"][0]["message"] == f"The worker process died while it ran the task ({how})."
    assert [history(first), history(third)] == [[], []]
    assert place.job(job)["result"]["attempts"]["key-1"] == 2


def test_a_task_that_kills_every_worker_fails_its_job_and_not_the_worker(place: Workplace) -> None:
    job = place.submit("hazard_heavy", "segfault", times=99)
    with place.worker() as worker:
        failed = place.ended(job)
        assert (failed["status"], failed["error_code"]) == ("failed", "WORKER_CRASHED")
        other = place.submit("hazard_heavy")
        assert place.ended(other)["status"] == "completed"
        place.until(worker.healthy, "the worker did not recover")
    [task] = place.query("SELECT * FROM app.tasks WHERE status = 'failed'")
    assert [error["queue"] for error in task["error_history"]] == ["raster-tasks", "long-running-tasks"]


def test_a_runner_killed_with_a_batch_in_hand_costs_only_the_task_that_ran(place: Workplace) -> None:
    job = place.submit("hazard_light", "polite", tasks=40, at=17)
    with place.worker(WORKER_BATCH="40"):
        kill(int(place.marked("began-1")))
        ended = place.ended(job)
    assert ended["status"] == "completed"
    charged = {task["task_key"]: history(task) for task in place.tasks() if task["error_history"]}
    assert charged == {"key-17": [(1, "WORKER_CRASHED")]}
    [row] = place.query("SELECT error_history -> 0 ->> 'message' AS said FROM app.tasks WHERE task_index = 17")
    assert "(signal 9)" in row["said"]
    assert "out-of-memory killer" in row["said"]
    assert place.query("SELECT count(*) AS n FROM app.job_events WHERE event_type = 'lease_expired'") == [{"n": 0}]


def test_a_task_above_the_memory_ceiling_is_killed_and_both_figures_told(place: Workplace) -> None:
    job = place.submit("hazard_heavy", "hog")
    with place.worker(WORKER_TASK_MEMORY_MB="400"):
        assert place.ended(job)["status"] == "completed"
    [task] = place.tasks()
    assert history(task) == [(1, "OUT_OF_MEMORY")]
    words = task["error_history"][0]["message"].split()
    assert "400" in words
    assert int(words[words.index("used") + 1]) > 400


def test_memory_that_a_finished_task_left_behind_costs_nobody_an_attempt(place: Workplace) -> None:
    job = place.submit("hazard_light", "leak")
    with place.worker(WORKER_TASK_MEMORY_MB="400") as worker:
        assert place.ended(job)["status"] == "completed"
        [before] = worker.runners()
        (place.home / "enough").touch()
        place.until(lambda: worker.healthy() and worker.runners() != [before], "the fat runner was not replaced")
        other = place.submit("hazard_light")
        assert place.ended(other)["status"] == "completed"
    assert [history(task) for task in place.tasks()] == [[], []]
    assert place.logged("runner_died") == []


def test_a_deaf_task_past_its_timeout_is_killed(place: Workplace) -> None:
    job = place.submit("hazard_heavy", "deaf")
    with place.worker(WORKER_GRACE_SECONDS="1"):
        assert place.ended(job)["status"] == "completed"
    [task] = place.tasks()
    assert history(task) == [(1, "TASK_TIMEOUT")]
    assert "did not stop when asked to; it may run for 3 s" in task["error_history"][0]["message"]
    assert place.logged("runner_died")


def test_a_task_past_its_timeout_that_stops_when_asked_keeps_its_checkpoint_and_its_process(place: Workplace) -> None:
    job = place.submit("hazard_heavy", "polite")
    with place.worker():
        ended = place.ended(job)
    assert (ended["status"], ended["result"]["resumed"]) == ("completed", ["key-0"])
    [task] = place.tasks()
    assert history(task) == [(1, "TASK_TIMEOUT")]
    assert place.logged("runner_died") == []


def test_a_light_task_moved_to_the_heavy_queue_gets_a_heavy_ones_settings(place: Workplace) -> None:
    job = place.submit("hazard_light", "segfault", tasks=2)
    with place.worker():
        assert place.ended(job)["status"] == "completed"
    moved = place.query(
        "SELECT event_data ->> 'moved_to' AS queue FROM app.job_events WHERE error_code = 'WORKER_CRASHED'"
    )
    assert moved == [{"queue": "long-running-tasks"}]


def test_a_busy_python_handler_keeps_its_lease(place: Workplace) -> None:
    job = place.submit("hazard_patient", "busy")
    with place.worker(TASK_LEASE_SECONDS="1"):
        place.marked("began-1")
        for _ in range(12):  # several leases' worth of renewals, each seen in the database
            await_renewal(place)
            assert place.query("SELECT app.sweep_leases('another', 10) AS swept") == [{"swept": 0}]
        (place.home / "enough").touch()
        assert place.ended(job)["status"] == "completed"
    [task] = place.tasks()
    assert (task["attempt"], history(task)) == (1, [])


def await_renewal(place: Workplace) -> None:
    sql = "SELECT visible_at FROM app.queue"
    before = place.query(sql)
    place.until(lambda: place.query(sql) != before, "the lease was not renewed")


def test_a_running_handler_learns_that_its_job_was_cancelled(place: Workplace) -> None:
    job = place.submit("hazard_patient", "polite")
    with place.worker() as worker:
        place.marked("began-1")
        place.query("SELECT app.cancel_job(job_key, 'me', 'enough') FROM app.jobs WHERE job_id = %s", job)
        # What it leaves after that is refused, since it no longer holds the task.
        place.until(lambda: states(worker.health()[1]) == {"idle"}, "the handler did not stop")
    assert place.job(job)["status"] == "cancelled"


def test_sigterm_saves_the_checkpoint_and_another_worker_resumes(place: Workplace) -> None:
    job = place.submit("hazard_patient", "polite", tasks=3)
    with place.worker() as first:
        place.marked("began-1")
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(60) == 0
    [held] = place.query("SELECT count(*) AS n FROM app.queue WHERE worker IS NOT NULL")
    assert held["n"] == 0
    with place.worker():
        ended = place.ended(job)
    assert (ended["status"], ended["result"]["resumed"]) == ("completed", ["key-0"])
    assert [history(task) for task in place.tasks()] == [[], [], []]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_deaf_handler_is_killed_in_the_grace_period_and_its_task_given_back_uncounted(
    place: Workplace, number: signal.Signals
) -> None:
    job = place.submit("hazard_patient", "deaf", tasks=2)
    with place.worker(WORKER_GRACE_SECONDS="8") as first:
        place.marked("began-1")
        first.process.send_signal(number)
        place.until(lambda: first.health() == (0, {}) or first.health()[1].get("status") == "shutting_down", "no 503")
        assert first.process.wait(60) == 0
    assert place.query("SELECT failures, losses, worker FROM app.queue WHERE task_index = 0") == [
        {"failures": 0, "losses": 0, "worker": None}
    ]
    with place.worker():
        assert place.ended(job)["status"] == "completed"
    assert [history(task) for task in place.tasks()] == [[], []]


def test_a_killed_parent_takes_its_runners_with_it_and_their_work_goes_on_elsewhere(place: Workplace) -> None:
    job = place.submit("hazard_patient", "polite")
    with place.worker(runners=2) as first:
        place.until(lambda: len(first.runners()) == 2, "the runners did not start")
        place.marked("began-1")
        pids = first.runners()
        first.process.kill()
        first.process.wait()
        place.until(lambda: not any(lives(pid) for pid in pids), "a runner outlived its parent")
    with place.worker():
        ended = place.ended(job)
    assert (ended["status"], ended["result"]["resumed"]) == ("completed", ["key-0"])
    assert [history(task) for task in place.tasks()] == [[]]


def test_a_killed_parent_takes_a_deaf_runner_with_it(place: Workplace) -> None:
    job = place.submit("hazard_patient", "deaf")
    with place.worker(WORKER_GRACE_SECONDS="1") as first:
        runner = int(place.marked("began-1"))
        first.process.kill()
        first.process.wait()
        place.until(lambda: not lives(runner), "a runner outlived its parent")
    with place.worker():
        assert place.ended(job)["status"] == "completed"
    assert [history(task) for task in place.tasks()] == [[]]


def test_health_tells_what_each_runner_does(place: Workplace) -> None:
    with place.worker(runners=2, WORKER_GRACE_SECONDS="5") as worker:
        place.until(worker.healthy, "the worker did not become healthy")
        assert worker.health("/livez") == (200, {"status": "alive"})
        assert worker.health("/readyz") == (200, {"status": "healthy"})
        assert worker.health("/other")[0] == 404
        told = worker.health("/test/logging")[1]
        assert worker.health(told["verify_url"])[1] == {
            "marker": told["marker"],
            "written": ["info", "warning", "error"],
        }
        assert worker.health("/test/logging/verify?marker=none")[0] == 404
        job = place.submit("hazard_patient", "deaf")
        runner = int(place.marked("began-1"))
        code, body = worker.health()
        [busy] = [r for r in body["runners"] if r["state"] == "running"]
        assert (code, body["status"], busy["pid"], busy["task_id"]) == (200, "healthy", runner, f"{job}-s1-0")
        assert busy["memory_mb"] > 10
        os.kill(runner, signal.SIGSTOP)  # a stopped runner says nothing, and its parent still answers
        worker.process.send_signal(signal.SIGTERM)
        place.until(lambda: worker.health()[1].get("status") == "shutting_down", "health did not tell")
        assert worker.health("/readyz")[0] == 503
        assert worker.health("/livez")[0] == 200
        assert worker.process.wait(60) == 0


def test_an_outage_shows_in_health_and_a_death_in_it_is_told_when_it_is_over(place: Workplace) -> None:
    job = place.submit("hazard_patient", "deaf")
    with place.worker(runners=2, DB_CONNECTION_TIMEOUT="2") as worker:
        victim = int(place.marked("began-1"))
        place.until(lambda: len(worker.runners()) == 2 and worker.healthy(), "the worker did not become healthy")
        with place.unreachable():
            kill(victim)
            place.until(lambda: place.logged("death_untold"), "the parent did not try to tell")
            place.until(lambda: "waiting" in states(worker.health()[1]), "no runner says that it waits")
            assert worker.health()[0] == 503
        assert place.ended(job)["status"] == "completed"
        place.until(worker.healthy, "the worker did not recover")
    assert [history(task) for task in place.tasks()] == [[(1, "WORKER_CRASHED")]]


def states(body: dict) -> set[str]:
    return {runner["state"] for runner in body.get("runners", ())}


def test_health_is_degraded_while_a_runner_is_missing(place: Workplace) -> None:
    place.submit("hazard_heavy", "segfault", times=99)
    with place.worker() as worker:
        seen: list[tuple[int, dict]] = []

        def restarting() -> bool:
            seen.append(worker.health())
            return "restarting" in states(seen[-1][1])

        place.until(restarting, "a dead runner was not noticed")
        code, body = seen[-1]
        assert (code, body["status"]) == (503, "degraded")
        place.until(worker.healthy, "the runner was not started again")
        [runner] = worker.health()[1]["runners"]
        assert runner["restarts"] >= 1


def test_a_worker_outlives_a_schema_that_went_away_and_says_so_in_json(place: Workplace) -> None:
    functions = ("step", "release_unknown")
    with place.worker() as worker:
        place.until(worker.healthy, "the worker did not become healthy")
        for name in functions:
            alter(place, f"ALTER FUNCTION app.{name} RENAME TO no_{name}")
        place.until(lambda: place.logged("crashed"), "the runner did not tell why it died")
        place.until(lambda: place.logged("death_untold"), "the parent did not tell that it cannot tell")
        for name in functions:
            alter(place, f"ALTER FUNCTION app.no_{name} RENAME TO {name}")
        job = place.submit("hazard_patient", "deaf")
        kill(int(place.marked("began-1")))
        assert place.ended(job)["status"] == "completed"
    assert [history(task) for task in place.tasks()] == [[(1, "WORKER_CRASHED")]]
    lines = place.log.read_text().splitlines()
    assert [line for line in lines if not {"event", "level", "timestamp"} <= json.loads(line).keys()] == []


def alter(place: Workplace, statement: str) -> None:
    with psycopg.connect(place.conninfo, autocommit=True) as conn:
        conn.execute(statement)
