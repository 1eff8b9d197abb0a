"""What the final failure of a task means for its job, and running again only what failed."""

import json

import psycopg
import pytest
from psycopg.rows import dict_row

from infrastructure.postgres.pool import Pool
from tests.support.probe import QUEUES, machine


def query(pool: Pool, sql: str, *args: object) -> list[tuple]:
    with pool.connection() as conn:
        return conn.execute(sql, args).fetchall()


def job(pool: Pool, job_id: str) -> dict:
    with pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM app.jobs WHERE job_id = %s AND superseded_at IS NULL", (job_id,)
        ).fetchone()


def events(pool: Pool, job_key: int) -> list[str]:
    rows = query(pool, "SELECT event_type FROM app.job_events WHERE job_key = %s ORDER BY event_id", job_key)
    return [row[0] for row in rows]


BAD = {"2/0": "permanent", "2/3": "permanent"}


def run(pool: Pool, policy: str, name: str = "a", **more: object) -> tuple[str, dict]:
    m = machine(pool)
    made = m.submit(policy, {"name": name, "widths": [1, 5, 1], **more})
    m.drain(QUEUES, 30)
    return made.job_id, job(pool, made.job_id)


@pytest.mark.parametrize("kind", ["probe_light", "probe_heavy"])
def test_collect_runs_the_other_tasks_and_then_fails_with_every_error(pool: Pool, kind: str) -> None:
    _, ended = run(pool, f"{kind}_collect", behaviours=BAD)
    assert (ended["status"], ended["error_code"]) == ("failed", "TASKS_FAILED")
    assert ended["error_message"] == "2 of 5 tasks of stage 'two' failed: INVALID_RASTER (2)."
    states = query(pool, "SELECT task_index, status FROM app.tasks WHERE stage = 2 ORDER BY 1")
    assert [s for _, s in states] == ["failed", "completed", "completed", "failed", "completed"]
    assert query(pool, "SELECT status, failed, remaining FROM app.stages WHERE stage = 2") == [("failed", 2, 0)]
    assert query(pool, "SELECT count(*) FROM app.stages WHERE stage = 3") == [(0,)]
    told = events(pool, ended["job_key"])
    assert told.count("task_failed") == 2
    assert told[-1] == "job_failed"


@pytest.mark.parametrize("kind", ["probe_light", "probe_heavy"])
def test_partial_goes_on_without_what_failed_and_says_so(pool: Pool, kind: str) -> None:
    _, ended = run(pool, f"{kind}_partial", behaviours=BAD)
    assert ended["status"] == "completed_with_errors"
    assert ended["result"]["failed"] == {"two/key-0": "INVALID_RASTER", "two/key-3": "INVALID_RASTER"}
    assert ended["result"]["keys"] == [["key-0"], ["key-1", "key-2", "key-4"], ["key-0"]]
    assert query(pool, "SELECT status FROM app.stages ORDER BY stage") == [
        ("completed",),
        ("completed_with_errors",),
        ("completed",),
    ]
    assert query(pool, "SELECT event_status FROM app.job_events WHERE event_type = 'job_completed'") == [("warning",)]


def test_partial_fails_when_every_task_of_a_stage_failed(pool: Pool) -> None:
    _, ended = run(pool, "probe_light_partial", behaviours={f"2/{i}": "permanent" for i in range(5)})
    assert (ended["status"], ended["error_code"]) == ("failed", "TASKS_FAILED")


def test_fail_fast_counts_the_failure_on_its_stage(pool: Pool) -> None:
    run(pool, "probe_light", behaviours=BAD)
    assert query(pool, "SELECT status, failed FROM app.stages WHERE stage = 2") == [("failed", 1)]


def test_partial_waits_for_a_retry_before_the_stage_ends(pool: Pool) -> None:
    _, ended = run(pool, "probe_heavy_partial", behaviours={"2/0": "permanent", "2/4": "transient once"})
    assert ended["status"] == "completed_with_errors"
    assert ended["result"]["failed"] == {"two/key-0": "INVALID_RASTER"}


def retry(pool: Pool, job_key: int, parameters: dict | None = None) -> list[tuple]:
    return query(
        pool, "SELECT run, stage, reopened FROM app.retry_job(%s, 'ann', %s)", job_key, json.dumps(parameters or {})
    )


@pytest.mark.parametrize("policy", ["probe_light", "probe_light_collect", "probe_light_partial"])
def test_a_retry_is_a_new_run_that_keeps_what_succeeded(pool: Pool, policy: str) -> None:
    job_id, ended = run(pool, policy, behaviours=BAD)
    good = query(pool, "SELECT count(*) FROM app.tasks WHERE stage = 2 AND status = 'completed'")[0][0]
    mended = {index: {"key": f"key-{index}", "behaviour": "done"} for index in ("0", "3")}
    assert retry(pool, ended["job_key"], mended) == [(2, 2, 5 - good)]
    machine(pool).drain(QUEUES, 30)
    again = job(pool, job_id)
    assert (again["run"], again["status"]) == (2, "completed")
    assert again["result"]["keys"][1] == [f"key-{i}" for i in range(5)]
    told = events(pool, again["job_key"])
    assert told.count("task_completed") == 5 - good + 1  # what was open, and stage 3
    assert query(pool, "SELECT status FROM app.jobs WHERE run = 1") == [(ended["status"],)]
    assert query(pool, "SELECT DISTINCT state, resolved_by FROM app.dead_letters") == [("redriven", "ann")]


def test_a_retry_of_a_broken_finalize_runs_no_task_again(pool: Pool) -> None:
    job_id, ended = run(pool, "probe_light", break_finalize=True)
    assert retry(pool, ended["job_key"]) == [(2, 3, 0)]
    machine(pool).drain(QUEUES, 30)
    again = job(pool, job_id)
    assert (again["run"], again["status"]) == (2, "failed")
    assert events(pool, again["job_key"]) == ["job_created", "job_started", "stage_advancement_failed", "job_failed"]


def test_nothing_is_retried_of_a_job_that_runs_or_ended_well(pool: Pool) -> None:
    _, ended = run(pool, "probe_light")
    assert retry(pool, ended["job_key"]) == []
    made = machine(pool).submit("probe_light", {"name": "open"})
    assert retry(pool, made.accepted.job_key) == []


def test_a_run_is_retried_once_however_often_it_is_asked_for(pool: Pool) -> None:
    _, ended = run(pool, "probe_light", behaviours=BAD)
    assert [len(retry(pool, ended["job_key"])) for _ in range(3)] == [1, 0, 0]


def test_a_cancelled_job_stays_cancelled_and_its_running_task_writes_nothing(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_heavy", {"name": "cancelled", "widths": [3, 1, 1]})
    [held] = m.store.step(m.worker, QUEUES, 1, m.lease, [])
    key = made.accepted.job_key
    assert query(pool, "SELECT app.cancel_job(%s, 'ann', 'not needed')", key) == [(True,)]
    assert query(pool, "SELECT app.cancel_job(%s, 'ann', 'not needed')", key) == [(False,)]
    assert m.store.renew(m.worker, [held], 30) == set()
    m.process(held)
    m.drain(QUEUES, 5)
    ended = job(pool, made.job_id)
    assert (ended["status"], ended["error_message"]) == ("cancelled", "Cancelled by ann: not needed")
    assert query(pool, "SELECT DISTINCT status FROM app.tasks") == [("cancelled",)]
    assert query(pool, "SELECT status FROM app.stages") == [("cancelled",)]
    assert events(pool, key)[-1] == "job_cancelled"


def test_a_cancelled_job_submitted_again_runs_again(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "again"})
    query(pool, "SELECT app.cancel_job(%s, 'ann', 'wrong file')", made.accepted.job_key)
    assert m.submit("probe_light", {"name": "again"}).accepted.run == 2


@pytest.mark.parametrize(
    ("policy", "status"), [("probe_light", "failed"), ("probe_light_partial", "completed_with_errors")]
)
def test_a_cancelled_task_is_a_failure_to_its_job(pool: Pool, policy: str, status: str) -> None:
    m = machine(pool)
    made = m.submit(policy, {"name": "one", "widths": [4, 1, 1]})
    key = made.accepted.job_key
    assert query(pool, "SELECT app.cancel_task(%s, 1, 2, 'ann', 'stuck')", key) == [(True,)]
    assert query(pool, "SELECT app.cancel_task(%s, 1, 2, 'ann', 'stuck')", key) == [(False,)]
    m.drain(QUEUES, 10)
    ended = job(pool, made.job_id)
    assert ended["status"] == status
    assert query(pool, "SELECT status, error_code FROM app.tasks WHERE stage = 1 AND task_index = 2") == [
        ("cancelled", "TASK_CANCELLED")
    ]
    assert query(pool, "SELECT count(*) FROM app.dead_letters") == [(0,)]


def test_an_ended_job_never_moves_again_whoever_writes(pool: Pool) -> None:
    _, ended = run(pool, "probe_light", behaviours=BAD)
    with pytest.raises(psycopg.errors.CheckViolation):
        query(
            pool, "UPDATE app.jobs SET status = 'processing', finished_at = NULL WHERE job_key = %s", ended["job_key"]
        )
