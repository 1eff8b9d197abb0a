import threading

import psycopg
import pytest

from core.contracts.outcomes import Done
from core.errors import ErrorKind
from core.machine.machine import CoreMachine
from core.machine.store import Claimed, Finished
from core.machine.worker import Worker
from infrastructure.postgres.pool import Pool
from tests.support.probe import QUEUES, Silent, machine


def query(pool: Pool, sql: str, *args: object) -> list[tuple]:
    with pool.connection() as conn:
        return conn.execute(sql, args).fetchall()


def job(pool: Pool, job_id: str) -> dict:
    with pool.connection() as conn, conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM app.jobs WHERE job_id = %s AND superseded_at IS NULL", (job_id,)
        ).fetchone()


def events(pool: Pool, job_id: str) -> list[str]:
    rows = query(
        pool,
        "SELECT e.event_type FROM app.job_events e JOIN app.jobs j USING (job_key)"
        " WHERE j.job_id = %s ORDER BY event_id",
        job_id,
    )
    return [row[0] for row in rows]


def claim(m: CoreMachine, limit: int = 1) -> list[Claimed]:
    return m.store.step(m.worker, QUEUES, limit, m.lease, [])


@pytest.mark.parametrize("kind", ["probe_light", "probe_heavy"])
def test_a_job_runs_its_stages_in_order_and_joins_results_by_key(pool: Pool, kind: str) -> None:
    m = machine(pool)
    made = m.submit(kind, {"name": "a", "widths": [2, 12, 1]})
    m.drain(QUEUES, 30)
    done = job(pool, made.job_id)
    assert done["status"] == "completed"
    assert done["result"]["keys"] == [["key-0", "key-1"], sorted(f"key-{i}" for i in range(12)), ["key-0"]]
    told = events(pool, made.job_id)
    assert told[0] == "job_created"
    assert told[-1] == "job_completed"
    assert (told.count("stage_started"), told.count("stage_completed")) == (3, 3)
    assert told.count("task_completed") == 15
    assert query(pool, "SELECT count(*) FROM app.queue") == [(0,)]


def test_the_same_work_submitted_twice_is_one_job(pool: Pool) -> None:
    m = machine(pool)
    first, second = (m.submit("probe_light", {"name": "same"}) for _ in range(2))
    assert first.job_id == second.job_id
    assert (first.accepted.created, second.accepted.created) == (True, False)
    assert query(pool, "SELECT count(*) FROM app.jobs") == [(1,)]
    assert query(pool, "SELECT count(*) FROM app.tasks") == [(1,)]


def test_twenty_concurrent_submits_of_one_job_make_one(pool: Pool) -> None:
    m = machine(pool)
    made = []
    threads = [threading.Thread(target=lambda: made.append(m.submit("probe_light", {"name": "x"}))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(s.accepted.created for s in made) == 1
    assert query(pool, "SELECT count(*) FROM app.jobs") == [(1,)]


def test_six_workers_share_a_job_and_every_stage_advances_once(pool: Pool) -> None:
    made = [machine(pool).submit("probe_light", {"name": str(i), "widths": [1, 200, 40]}) for i in range(4)]
    workers = [
        Worker(machine(pool, f"w{i}"), QUEUES, batch=7, poll=0.05, wait=lambda _: None, log=Silent()) for i in range(6)
    ]
    threads = [threading.Thread(target=w.run) for w in workers]
    for thread in threads:
        thread.start()
    waiting = threading.Event()
    while query(pool, "SELECT count(*) FROM app.jobs WHERE finished_at IS NULL") != [(0,)]:
        waiting.wait(0.05)
    for worker in workers:
        worker.stop()
    for thread in threads:
        thread.join()
    for submission in made:
        assert job(pool, submission.job_id)["status"] == "completed"
        told = events(pool, submission.job_id)
        assert told.count("stage_started") == told.count("stage_completed") == 3
        assert told.count("task_completed") == 241


def test_a_stage_without_tasks_advances_at_once(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "empty", "widths": [0, 0, 0]})
    m.drain(QUEUES, 10)
    assert job(pool, made.job_id)["status"] == "completed"


def test_a_permanent_failure_fails_the_job_with_its_reason_and_cancels_the_rest(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "bad", "behaviour": "permanent"})
    m.drain(QUEUES, 10)
    failed = job(pool, made.job_id)
    assert (failed["status"], failed["error_code"]) == ("failed", "INVALID_RASTER")
    assert failed["error_message"] == "The probe was told to fail for good."
    assert failed["error_hint"] == "Tell it otherwise."
    states = query(pool, "SELECT status, count(*) FROM app.tasks WHERE stage = 2 GROUP BY 1 ORDER BY 1")
    assert dict(states)["failed"] == 1
    assert set(dict(states)) <= {"failed", "cancelled", "completed"}
    assert query(pool, "SELECT count(*) FROM app.queue") == [(0,)]
    assert events(pool, made.job_id)[-2:] == ["task_failed", "job_failed"]


def test_a_failed_job_submitted_again_runs_again_beside_the_old_record(pool: Pool) -> None:
    m = machine(pool)
    parameters = {"name": "again", "behaviour": "permanent"}
    first = m.submit("probe_light", parameters)
    m.drain(QUEUES, 10)
    second = m.submit("probe_light", parameters)
    assert (second.job_id, second.accepted.created, second.accepted.run) == (first.job_id, True, 2)
    rows = query(pool, "SELECT run, status, superseded_at IS NULL FROM app.jobs ORDER BY run")
    assert rows == [(1, "failed", False), (2, "queued", True)]


def test_a_transient_failure_is_tried_again_and_its_history_kept(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_heavy", {"name": "flaky", "behaviour": "transient once"})
    m.drain(QUEUES, 10)
    assert job(pool, made.job_id)["status"] == "completed"
    [(attempt, history)] = query(
        pool, "SELECT attempt, error_history FROM app.tasks WHERE stage = 2 AND task_index = 0"
    )
    assert attempt == 2
    assert [(e["attempt"], e["code"]) for e in history] == [(1, "STORAGE_UNAVAILABLE")]
    assert "task_retrying" in events(pool, made.job_id)


def test_attempts_are_used_up_and_then_the_job_fails(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_heavy", {"name": "never", "behaviour": "transient"})
    m.drain(QUEUES, 10)
    assert job(pool, made.job_id)["error_code"] == "STORAGE_UNAVAILABLE"
    assert query(pool, "SELECT attempt FROM app.tasks WHERE stage = 2 AND status = 'failed'") == [(3,)]


@pytest.mark.parametrize(("behaviour", "failures"), [("checkpoint then stop", 0), ("checkpoint then fail", 1)])
def test_an_interrupted_task_resumes_after_its_checkpoint(pool: Pool, behaviour: str, failures: int) -> None:
    m = machine(pool)
    made = m.submit("probe_heavy", {"name": behaviour, "behaviour": behaviour})
    m.drain(QUEUES, 10)
    assert job(pool, made.job_id)["status"] == "completed"
    [(result, history)] = query(pool, "SELECT result, error_history FROM app.tasks WHERE stage = 2 AND task_index = 0")
    assert (result["resumed_from"], result["attempt"]) == (1, 2)
    assert len(history) == failures
    assert ("task_interrupted" in events(pool, made.job_id)) == (failures == 0)


def test_an_attempt_sees_the_checkpoint_it_has_just_saved(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_heavy", {"name": "seen", "behaviour": "checkpoint twice"})
    m.drain(QUEUES, 10)
    assert query(pool, "SELECT result->>'resumed_from' FROM app.tasks WHERE stage = 2 AND task_index = 0") == [("1",)]


def test_an_expired_lease_gives_the_task_to_another_and_fences_the_first(pool: Pool) -> None:
    slow, quick = machine(pool, "slow", lease=0.05), machine(pool, "quick")
    made = slow.submit("probe_heavy", {"name": "fenced", "widths": [1, 0, 0]})
    [held] = claim(slow)
    threading.Event().wait(0.1)
    assert quick.sweep() == 1
    [taken] = claim(quick)
    assert (taken.task_id, taken.attempt) == (held.task_id, 2)
    slow.settle(held, Done('{"key": "late", "attempt": 1}'), 1)
    assert job(pool, made.job_id)["status"] == "processing"
    quick.process(taken)
    quick.drain(QUEUES, 5)
    slow.settle(held, Done('{"key": "later", "attempt": 1}'), 1)
    assert query(pool, "SELECT result->>'key', worker FROM app.tasks") == [("key-0", "quick")]
    assert events(pool, made.job_id).count("task_completed") == 1


def test_a_drain_keeps_the_lease_of_a_task_that_outlasts_it(pool: Pool) -> None:
    m, sweeper = machine(pool, lease=0.3), machine(pool, "sweeper")
    made = m.submit("probe_heavy", {"name": "slow", "widths": [1, 1, 0], "behaviour": "slow"})
    drained = threading.Thread(target=m.drain, args=(QUEUES, 30))
    drained.start()
    while drained.is_alive():
        sweeper.sweep()
        drained.join(0.05)
    assert job(pool, made.job_id)["status"] == "completed"
    assert "lease_expired" not in events(pool, made.job_id)


def test_an_output_too_deep_for_the_database_fails_its_own_task_only(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light_partial", {"name": "deep", "widths": [3, 1, 1]})
    deep, *others = claim(m, 3)
    done = [Finished(item, '{"key": "k", "attempt": 1}', 1) for item in others]
    assert m.step(QUEUES, 0, [Finished(deep, "[" * 50_000 + "]" * 50_000, 1), *done]) == []
    rows = query(pool, "SELECT task_index, status FROM app.tasks WHERE stage = 1 ORDER BY 1")
    assert rows == [(0, "pending"), (1, "completed"), (2, "completed")]
    [(failures, history)] = query(
        pool, "SELECT q.failures, t.error_history FROM app.queue q JOIN app.tasks t USING (job_key, stage, task_index)"
    )
    assert failures == 1
    assert "StatementTooComplex" in history[0]["message"]


def test_a_claim_that_the_database_refuses_is_not_passed_over_in_silence(pool: Pool) -> None:
    with pool.connection() as conn:
        conn.execute("ALTER FUNCTION app.step RENAME TO no_step")
    worker = Worker(machine(pool), QUEUES, batch=5, poll=0.01, wait=lambda _: None, log=Silent())
    with pytest.raises(psycopg.errors.UndefinedFunction):
        worker.run()


def test_a_worker_that_renews_keeps_its_lease(pool: Pool) -> None:
    m = machine(pool, lease=0.3)
    m.submit("probe_heavy", {"name": "renewed"})
    [held] = claim(m)
    for _ in range(5):
        threading.Event().wait(0.1)
        assert m.store.renew(m.worker, [held], 0.3) == {held.queue_id}
        assert m.sweep() == 0


def test_a_completion_sent_twice_counts_once(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "twice", "widths": [3, 1, 1]})
    first = claim(m)[0]
    done = Finished(first, '{"key": "key-0", "attempt": 1}', 1)
    for _ in range(3):
        m.store.step(m.worker, QUEUES, 0, m.lease, [done])
    assert query(pool, "SELECT expected, remaining FROM app.stages") == [(3, 2)]
    assert events(pool, made.job_id).count("task_completed") == 1


def test_two_tasks_that_fail_at_once_do_not_deadlock_and_fail_the_job_once(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "both", "widths": [40, 1, 1]})
    held = claim(m, 40)
    barrier = threading.Barrier(8)
    answers: list[str] = []

    def fail(mine: list[Claimed]) -> None:
        barrier.wait()
        for claimed in mine:
            answers.append(
                m.store.fail(m.worker, claimed, kind=ErrorKind.PERMANENT, code="X", message="x", hint=None, delay=0)
            )

    threads = [threading.Thread(target=fail, args=(held[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["failed"] + ["stale"] * 39
    assert events(pool, made.job_id).count("job_failed") == 1


def test_a_job_whose_finalize_breaks_fails_with_the_reason(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "broken", "break_finalize": True})
    m.drain(QUEUES, 10)
    failed = job(pool, made.job_id)
    assert failed["status"] == "failed"
    assert "finalize was told to break" in failed["error_message"]
    assert "stage_advancement_failed" in events(pool, made.job_id)


def test_a_job_that_publishes_opens_one_approval_with_its_access_level(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "item", "publish": True, "access_level": "PUBLIC"})
    assert query(pool, "SELECT count(*) FROM app.dataset_approvals") == [(0,)]
    m.drain(QUEUES, 10)
    rows = query(
        pool, "SELECT job_id, status, classification, stac_collection_id, stac_item_id FROM app.dataset_approvals"
    )
    assert rows == [(made.job_id, "pending", "public", "c", "item")]


def test_a_callback_is_repeated_until_it_succeeds(pool: Pool) -> None:
    calls: list[dict] = []

    def flaky(payload: dict) -> None:
        calls.append(dict(payload))
        if len(calls) < 3:
            raise OSError("away")

    m = machine(pool, callbacks={"notify": flaky})
    made = m.submit("probe_light", {"name": "told"})
    m.drain(QUEUES, 10)
    for _ in range(5):
        m.sweep()
    assert [c["job_id"] for c in calls] == [made.job_id] * 3
    told = events(pool, made.job_id)
    assert (told.count("callback_failed"), told.count("callback_success")) == (2, 1)
    assert query(pool, "SELECT delivered_at IS NOT NULL, attempts FROM app.outbox") == [(True, 3)]


def test_a_callback_that_never_succeeds_ends_among_the_dead(pool: Pool) -> None:
    def broken(_: dict) -> None:
        raise OSError("away for good")

    m = machine(pool, callbacks={"notify": broken})
    m.submit("probe_light", {"name": "untold"})
    m.drain(QUEUES, 10)
    for _ in range(12):
        m.sweep()
    rows = query(pool, "SELECT attempts, dead_at IS NOT NULL, last_error FROM app.outbox")
    assert rows == [(10, True, "OSError: away for good")]
