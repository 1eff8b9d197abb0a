"""Ways in which orchestrators lose or double work, each tried on ours; docs/explanation/reliability.md says which."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import psycopg
import pytest

from core.contracts.effects import UpsertCogMetadata
from core.contracts.outcomes import Done
from core.errors import ErrorKind, StaleAttempt
from core.machine.machine import CoreMachine
from core.machine.store import Claimed, Finished, NextStep
from core.models.cogs import CogMetadata
from infrastructure.postgres.job_store import submit_in
from infrastructure.postgres.pool import Pool
from tests.support.probe import QUEUES, machine


def query(pool: Pool, sql: str, *args: object) -> list[tuple]:
    with pool.connection() as conn:
        cursor = conn.execute(sql, args)
        return cursor.fetchall() if cursor.description else []


def claim(m: CoreMachine, limit: int = 1) -> list[Claimed]:
    return m.store.step(m.worker, QUEUES, limit, m.lease, [])


def finished(claimed: Claimed) -> Finished:
    return Finished(claimed, json.dumps({"key": f"key-{claimed.task_index}", "attempt": claimed.attempt}), 1)


def ended(pool: Pool) -> list[tuple]:
    return query(pool, "SELECT status FROM app.jobs ORDER BY job_key")


def test_no_task_of_a_stage_can_be_claimed_before_all_of_them_exist(pool: Pool) -> None:
    m = machine(pool)
    job = m.prepare("probe_light", {"name": "half", "widths": [20, 0, 0]})
    with pool.connection() as conn, conn.transaction():
        submit_in(conn, job)
        assert claim(machine(pool, "early"), 50) == []
    assert len(claim(machine(pool, "early"), 50)) == 20
    assert query(pool, "SELECT expected, remaining FROM app.stages") == [(20, 20)]


def test_a_stage_that_cannot_be_stored_whole_is_not_stored_at_all(pool: Pool) -> None:
    m = machine(pool)
    job = m.prepare("probe_light", {"name": "torn", "widths": [5, 0, 0]})
    stage = replace(job.first_stage, parameters=[*job.first_stage.parameters[:4], "no JSON"])
    with pytest.raises(psycopg.DataError):
        m.store.submit(replace(job, first_stage=stage))
    for table in ("jobs", "stages", "tasks", "queue", "job_events"):
        assert query(pool, f"SELECT count(*) FROM app.{table}") == [(0,)]


def test_a_worker_that_dies_after_the_last_completion_leaves_the_advance_to_another(pool: Pool) -> None:
    dying, heir = machine(pool, "dying", lease=0.05), machine(pool, "heir")
    dying.submit("probe_light", {"name": "H3", "widths": [2, 3, 1]})
    advances = dying.store.step("dying", QUEUES, 0, 0.05, [finished(c) for c in claim(dying, 2)])
    assert [item.is_advance for item in advances] == [True]
    threading.Event().wait(0.1)
    assert query(pool, "SELECT * FROM app.stranded_jobs") == []
    assert heir.sweep() == 1
    heir.drain(QUEUES, 20)
    assert ended(pool) == [("completed",)]


def test_an_advance_that_is_repeated_makes_no_second_stage(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H12", "widths": [1, 3, 1]})
    [advance] = m.store.step(m.worker, QUEUES, 0, m.lease, [finished(c) for c in claim(m)])
    record = m.store.to_advance([advance])[0]
    step = NextStep(advance, m._plan(record).following)
    assert m.store.advance(m.worker, [step], [], 0, m.lease) == []
    for _ in range(3):
        with pytest.raises(StaleAttempt):
            m.store.advance(m.worker, [step], [], 0, m.lease)
        m.advance([advance])
    assert query(pool, "SELECT stage, expected, remaining FROM app.stages ORDER BY 1") == [(1, 1, 0), (2, 3, 3)]
    assert query(pool, "SELECT count(*) FROM app.tasks") == [(4,)]


def test_a_sibling_that_completes_after_the_failure_does_not_bring_the_job_back(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H5", "widths": [2, 1, 1]})
    bad, late = claim(m, 2)
    m.store.fail(m.worker, bad, kind=ErrorKind.PERMANENT, code="X", message="told to", hint=None, delay=0)
    assert m.store.step(m.worker, QUEUES, 5, m.lease, [finished(late)]) == []
    assert m.store.complete(m.worker, m.lease, finished(late), []) is None
    assert query(pool, "SELECT status, error_code, error_message FROM app.jobs") == [("failed", "X", "told to")]


def test_while_a_retry_waits_its_stage_cannot_end(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H6", "widths": [2, 1, 1]})
    flaky, good = claim(m, 2)
    decided = m.store.fail(m.worker, flaky, kind=ErrorKind.TRANSIENT, code="X", message="x", hint=None, delay=3600)
    assert decided == "retrying"
    assert m.store.step(m.worker, QUEUES, 5, m.lease, [finished(good)]) == []
    assert query(pool, "SELECT status, remaining FROM app.stages") == [("processing", 1)]
    assert query(pool, "SELECT status FROM app.tasks ORDER BY task_index") == [("pending",), ("completed",)]
    assert (m.sweep(), m.mend()) == (0, 0)
    query(pool, "UPDATE app.queue SET visible_at = now()")
    m.drain(QUEUES, 20)
    assert ended(pool) == [("completed",)]


def test_work_that_has_waited_for_a_year_is_no_failure(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H16", "widths": [3, 2, 1]})
    m.submit("probe_heavy", {"name": "H17", "widths": [3, 2, 1]})
    query(pool, "UPDATE app.queue SET visible_at = visible_at - interval '1 year'")
    query(pool, "UPDATE app.jobs SET created_at = created_at - interval '1 year'")
    assert (m.sweep(), m.mend()) == (0, 0)
    m.drain(QUEUES, 30)
    assert ended(pool) == [("completed",), ("completed",)]
    assert query(pool, "SELECT count(*) FROM app.janitor_runs") == [(0,)]


def test_an_effect_of_an_attempt_that_lost_its_lease_is_undone(pool: Pool) -> None:
    slow, quick = machine(pool, "slow", lease=0.05), machine(pool, "quick")
    slow.submit("probe_heavy", {"name": "H43", "widths": [1, 0, 0]})
    [held] = claim(slow)
    threading.Event().wait(0.1)
    quick.sweep()
    [taken] = claim(quick)
    slow.settle(held, Done(finished(held).output, (_effect("slow"),)), 1)
    assert query(pool, "SELECT title FROM app.cog_metadata") == []
    quick.settle(taken, Done(finished(taken).output, (_effect("quick"),)), 1)
    slow.settle(held, Done(finished(held).output, (_effect("slow"),)), 1)
    assert query(pool, "SELECT title FROM app.cog_metadata") == [("quick",)]


def test_a_completed_task_cannot_be_opened_again_by_anyone(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H2", "widths": [2, 1, 1]})
    m.store.step(m.worker, QUEUES, 0, m.lease, [finished(c) for c in claim(m)])
    for status in ("pending", "processing"):
        with pytest.raises(psycopg.errors.CheckViolation):
            query(pool, "UPDATE app.tasks SET status = %s, finished_at = NULL WHERE status = 'completed'", status)


def test_jobs_whose_ids_begin_alike_share_nothing(pool: Pool) -> None:
    m = machine(pool)
    job = m.prepare("probe_light", {"name": "H44", "widths": [3, 2, 1]})
    for end in "ab":
        m.store.submit(replace(job, job_id=job.job_id[:63] + end))
    m.drain(QUEUES, 30)
    assert ended(pool) == [("completed",), ("completed",)]
    assert query(pool, "SELECT job_key, count(*) FROM app.tasks GROUP BY 1 ORDER BY 1") == [(1, 6), (2, 6)]


def test_a_result_that_is_missing_stops_the_advance_loudly(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H39", "widths": [2, 1, 1]})
    [advance] = m.store.step(m.worker, QUEUES, 0, m.lease, [finished(c) for c in claim(m, 2)])
    record = m.store.to_advance([advance])[0]
    assert m._plan(replace(record, results=[replace(record.results[0], output=None)])) is None
    [(status, code, message)] = query(pool, "SELECT status, error_code, error_message FROM app.jobs")
    assert (status, code) == ("failed", "CONTRACT_VIOLATION")
    assert "ended without an output" in message


def test_hundreds_of_tasks_are_listed_by_number_and_joined_by_key(pool: Pool) -> None:
    m = machine(pool)
    m.submit("probe_light", {"name": "H20", "widths": [120, 1, 1]})
    m.drain(QUEUES, 30)
    rows = query(
        pool, "SELECT task_index, task_key, result ->> 'key' FROM app.tasks WHERE stage = 1 ORDER BY task_index"
    )
    assert rows == [(i, f"key-{i}", f"key-{i}") for i in range(120)]


def _effect(title: str) -> UpsertCogMetadata:
    made = {"cog_id": "c", "container": "x", "blob_path": "x", "cog_url": "x", "dtype": "uint8", "title": title}
    made |= {"stac_collection_id": "c", "stac_item_id": "i", "access_level": "public"}
    return UpsertCogMetadata(CogMetadata(width=1, height=1, band_count=1, **made))
