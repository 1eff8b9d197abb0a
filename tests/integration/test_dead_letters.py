"""What fails for good is kept; resource errors get one try on the heavy queue; lost leases are not failures."""

import threading

import pytest

from infrastructure.postgres.pool import Pool
from tests.support.probe import QUEUES, machine


def query(pool: Pool, sql: str, *args: object) -> list[tuple]:
    with pool.connection() as conn:
        return conn.execute(sql, args).fetchall()


@pytest.mark.parametrize(
    ("behaviour", "cause", "code", "attempts"),
    [
        ("permanent", "permanent", "INVALID_RASTER", 1),
        ("transient", "exhausted", "STORAGE_UNAVAILABLE", 3),
        ("out of memory", "exhausted", "OUT_OF_MEMORY", 2),
    ],
)
def test_what_failed_for_good_is_kept_with_what_it_was_told(
    pool: Pool, behaviour: str, cause: str, code: str, attempts: int
) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "dead", "behaviour": behaviour})
    m.drain(QUEUES, 30)
    [letter] = query(
        pool,
        "SELECT kind, cause, state, error_code, job_id, job_type, stage, task_index, task_type, payload ->> 'behaviour'"
        " FROM app.dead_letters",
    )
    assert letter == ("task", cause, "open", code, made.job_id, "probe_light", 2, 0, "probe_light", behaviour)
    [(history,)] = query(pool, "SELECT error_history FROM app.tasks WHERE stage = 2 AND task_index = 0")
    assert [entry["attempt"] for entry in history] == list(range(1, attempts + 1))
    assert {entry["code"] for entry in history} == {code}


def test_a_resource_error_moves_the_task_to_the_heavy_queue_once(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "big", "behaviour": "out of memory once"})
    m.drain(["geospatial-jobs", "vector-tasks"], 30)
    [row] = query(pool, "SELECT queue, heavy, escalated, failures, task_index FROM app.queue")
    assert row == ("long-running-tasks", True, True, 1, 0)
    m.drain(QUEUES, 30)
    assert query(pool, "SELECT status FROM app.jobs WHERE job_id = %s", made.job_id) == [("completed",)]
    [(moved,)] = query(pool, "SELECT event_data FROM app.job_events WHERE event_type = 'task_retrying'")
    assert moved == {"moved_to": "long-running-tasks"}


def test_errors_that_differ_in_numbers_and_names_have_one_fingerprint(pool: Pool) -> None:
    def fingerprint(message: str, code: str = "X") -> str:
        return query(pool, "SELECT app.error_fingerprint('task', 't', %s, %s)", code, message)[0][0]

    first = fingerprint("File 'a.tif' has 12 bands, sha 0123456789abcdef")
    assert fingerprint("File 'b.tif' has 7 bands, sha fedcba9876543210") == first
    assert fingerprint("File 'a.tif' has no bands") != first
    assert fingerprint("File 'a.tif' has 12 bands, sha 0123456789abcdef", "Y") != first


def lose(pool: Pool, times: int) -> str:
    """Claim the one task and fall silent, again and again; the last state of its queue row."""
    for number in range(times):
        silent = machine(pool, f"silent-{number}", lease=0.01)
        silent.store.step(silent.worker, QUEUES, 1, silent.lease, [])
        threading.Event().wait(0.03)
        machine(pool).sweep()
    return str(query(pool, "SELECT queue, heavy, losses, failures FROM app.queue"))


def test_a_lost_lease_is_not_a_failure_but_its_task_leaves_the_batches_of_others(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "lost", "widths": [1, 1, 1]})
    assert lose(pool, 1) == str([("vector-tasks", False, 1, 0)])
    assert lose(pool, 1) == str([("long-running-tasks", True, 2, 0)])
    assert lose(pool, 4) == str([("long-running-tasks", True, 6, 0)])
    m.drain(QUEUES, 30)
    assert query(pool, "SELECT status FROM app.jobs WHERE job_id = %s", made.job_id) == [("completed",)]
    [(count,)] = query(pool, "SELECT count(*) FROM app.job_events WHERE event_type = 'lease_expired'")
    assert count == 6
    runs = query(pool, "SELECT run_type, sum(items_fixed) FROM app.janitor_runs GROUP BY 1")
    assert runs == [("leases", 6)]


def test_a_task_that_silences_every_worker_is_poison_in_the_end(pool: Pool) -> None:
    made = machine(pool).submit("probe_light", {"name": "poison", "widths": [1, 1, 1]})
    assert lose(pool, 8) == "[]"
    assert query(pool, "SELECT cause, error_code FROM app.dead_letters") == [("poison", "LEASE_EXPIRED")]
    assert query(pool, "SELECT status FROM app.jobs WHERE job_id = %s", made.job_id) == [("failed",)]


def redrive(pool: Pool) -> str:
    return query(pool, "SELECT app.redrive(dead_letter_id, 'ann') FROM app.dead_letters ORDER BY 1 LIMIT 1")[0][0]


def test_a_redriven_task_runs_with_the_parameters_a_person_mended(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light", {"name": "mended", "behaviour": "permanent"})
    m.drain(QUEUES, 30)
    query(pool, 'UPDATE app.dead_letters SET payload = payload || \'{"behaviour": "done"}\' RETURNING 1')
    assert redrive(pool) == "redriven"
    m.drain(QUEUES, 30)
    assert query(pool, "SELECT run, status FROM app.jobs WHERE job_id = %s ORDER BY run", made.job_id) == [
        (1, "failed"),
        (2, "completed"),
    ]
    assert redrive(pool) == "resolved"


def test_a_letter_of_a_running_or_superseded_job_is_not_redriven(pool: Pool) -> None:
    m = machine(pool)
    made = m.submit("probe_light_partial", {"name": "busy", "widths": [3, 1, 1], "behaviours": {"1/0": "permanent"}})
    [claimed] = m.store.step(m.worker, QUEUES, 1, m.lease, [])
    m.process(claimed)
    assert redrive(pool) == "running"
    m.drain(QUEUES, 30)
    query(pool, "SELECT app.retry_job(%s, 'bob')", made.accepted.job_key)
    query(
        pool,
        "UPDATE app.dead_letters SET state = 'open', resolved_at = NULL WHERE job_key = %s RETURNING 1",
        made.accepted.job_key,
    )
    assert redrive(pool) == "superseded"


def test_a_failed_job_submitted_again_settles_its_letters(pool: Pool) -> None:
    m = machine(pool)
    for _ in range(2):
        m.submit("probe_light", {"name": "again", "behaviour": "permanent"}, submitted_by="ann")
        m.drain(QUEUES, 30)
    letters = query(pool, "SELECT state, resolved_by, resolution FROM app.dead_letters ORDER BY dead_letter_id")
    assert letters == [("redriven", "ann", "run 2"), ("open", None, None)]


def test_a_dead_callback_is_redriven_to_success(pool: Pool) -> None:
    calls: list[str] = []

    def callback(payload: dict) -> None:
        calls.append(payload["status"])
        if len(calls) <= 10:
            raise OSError("away")

    m = machine(pool, callbacks={"notify": callback})
    m.submit("probe_light", {"name": "told", "behaviour": "permanent"})
    m.drain(QUEUES, 30)
    for _ in range(12):
        m.sweep()
    letters = query(pool, "SELECT kind, cause, error_code FROM app.dead_letters WHERE kind = 'callback'")
    assert letters == [("callback", "exhausted", "CALLBACK_FAILED")]
    query(pool, "SELECT app.redrive(dead_letter_id, 'ann') FROM app.dead_letters WHERE kind = 'callback'")
    m.sweep()
    assert calls == ["failed"] * 11
    assert query(pool, "SELECT delivered_at IS NOT NULL FROM app.outbox") == [(True,)]
