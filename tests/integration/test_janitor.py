"""Damage that no transition makes is found, mended, told and recorded; old jobs leave without touching the claim."""

import pytest

from infrastructure.postgres.pool import Pool
from tests.support.api import Api
from tests.support.probe import QUEUES, machine


def query(pool: Pool, sql: str, *args: object) -> list[tuple]:
    with pool.connection() as conn:
        cursor = conn.execute(sql, args)
        return cursor.fetchall() if cursor.description else []


def stranded(pool: Pool) -> int:
    return query(pool, "SELECT count(*) FROM app.stranded_jobs")[0][0]


@pytest.mark.parametrize("done", [0, 2, 5])
def test_a_stranded_job_gets_back_the_work_it_lacks_and_completes(pool: Pool, done: int) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "lost", "widths": [5, 2, 1]})
    claimed = m.store.step(m.worker, QUEUES, 5, m.lease, [])
    for item in claimed[:done]:
        m.settle(item, m.run(item, None), 1) if done < 5 else None
    if done == 5:
        with pool.connection() as conn:
            conn.execute("DELETE FROM app.queue")
            conn.execute(
                "UPDATE app.tasks SET status = 'completed', finished_at = now(), result ="
                " jsonb_build_object('key', task_key, 'attempt', 1)"
            )
    query(pool, "DELETE FROM app.queue")
    assert stranded(pool) == 1
    assert m.mend() == 1
    assert stranded(pool) == 0
    m.drain(QUEUES, 30)
    assert query(pool, "SELECT status FROM app.jobs WHERE job_id = %s", made.job_id) == [("completed",)]
    assert query(pool, "SELECT expected, remaining FROM app.stages ORDER BY stage") == [(5, 0), (2, 0), (1, 0)]
    [(kind, fixed, actions)] = query(pool, "SELECT run_type, items_fixed, actions FROM app.janitor_runs")
    assert (kind, fixed, actions) == ("stranded", 1, {"jobs": [made.job_id]})
    [(told,)] = query(pool, "SELECT event_data FROM app.job_events WHERE checkpoint_name = 'janitor_unstranded'")
    assert told == {"reopened_tasks": 5 - done, "advance": done == 5}


def test_open_work_of_an_ended_job_is_removed(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "ended", "widths": [1, 1, 1]})
    m.drain(QUEUES, 30)
    query(
        pool,
        "INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)"
        " SELECT 'vector-tasks', job_key, 1, 7, false, 3 FROM app.jobs UNION ALL"
        " SELECT 'vector-tasks', 999999, 1, 0, false, 3",
    )
    assert m.mend() == 2
    assert query(pool, "SELECT count(*) FROM app.queue") == [(0,)]
    assert query(pool, "SELECT run_type, items_fixed FROM app.janitor_runs") == [("orphans", 2)]


def test_a_healthy_system_is_left_alone_and_leaves_no_run(pool: Pool) -> None:
    m = machine(pool)
    for name in ("a", "b"):
        m.submit("probe_light", {"name": name, "widths": [3, 1, 1]})
    m.store.step(m.worker, QUEUES, 2, m.lease, [])
    before = query(pool, "SELECT queue_id, attempt, worker, visible_at FROM app.queue ORDER BY 1")
    assert (m.mend(), m.sweep()) == (0, 0)
    assert query(pool, "SELECT queue_id, attempt, worker, visible_at FROM app.queue ORDER BY 1") == before
    assert query(pool, "SELECT count(*) FROM app.janitor_runs") == [(0,)]


def test_what_a_lost_answer_leased_to_a_worker_is_given_back_uncounted(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "doubt", "widths": [4, 1, 1]})
    kept, *_ = m.store.step(m.worker, QUEUES, 4, m.lease, [])
    assert m.store.release_unknown(m.worker, [kept]) == 3
    rows = query(pool, "SELECT worker, failures, losses FROM app.queue ORDER BY queue_id")
    assert rows == [(m.worker, 0, 0)] + [(None, 0, 0)] * 3


def test_old_jobs_are_archived_then_dropped_and_newer_or_unresolved_ones_kept(pool: Pool) -> None:
    m = machine(pool)
    for name, more in (("old", {}), ("dead", {"behaviour": "permanent"}), ("new", {}), ("reviewed", {"publish": True})):
        m.submit("probe_light", {"name": name, **more})
    m.drain(QUEUES, 30)
    m.submit("probe_light", {"name": "open"})
    query(
        pool,
        "UPDATE app.jobs SET finished_at = finished_at - interval '40 days' WHERE parameters ->> 'name' <> 'new'"
        " AND finished_at IS NOT NULL",
    )
    assert m.store.archive(30, 100) == 2
    assert m.store.archive(30, 100) == 0
    kept = query(
        pool,
        "SELECT j.parameters ->> 'name', j.archived_at IS NOT NULL,"
        " (SELECT count(*) FROM app.tasks t WHERE t.job_key = j.job_key) > 0,"
        " (SELECT count(*) FROM app.job_events e WHERE e.job_key = j.job_key) > 0, j.result IS NOT NULL"
        " FROM app.jobs j ORDER BY 1",
    )
    assert kept == [
        ("dead", False, True, True, False),
        ("new", False, True, True, True),
        ("old", True, False, False, True),
        ("open", False, True, True, False),
        ("reviewed", True, False, False, True),
    ]
    assert m.store.drop_archived(30, 100) == 1
    names = [row[0] for row in query(pool, "SELECT parameters ->> 'name' FROM app.jobs ORDER BY 1")]
    assert names == ["dead", "new", "open", "reviewed"]


def test_health_publishes_how_many_jobs_are_stranded(api: Api) -> None:
    machine = api.runtime.machine
    machine.submit("hello_world", {"n": 2})
    whole = api.of("ada").get("/api/health")
    assert whole.json()["components"]["machine"]["stranded_jobs"] == 0
    with api.runtime.pool.connection() as conn:
        conn.execute("DELETE FROM app.queue")
    broken = api.of("ada").get("/api/health")
    assert broken.status_code == 503
    assert "1 open jobs have no open work" in broken.json()["components"]["machine"]["error"]
    machine.mend()
    mended = api.of("ada").get("/api/health").json()["components"]["machine"]
    assert (mended["status"], mended["stranded_jobs"]) == ("healthy", 0)
    assert mended["last_mended_at"] is not None
