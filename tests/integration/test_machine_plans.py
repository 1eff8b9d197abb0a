"""The statements inside the machine's functions touch few rows, by an index, however much work waits or is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool

from core.errors import ErrorKind
from core.machine.identity import TaskId
from core.machine.machine import CoreMachine
from core.machine.store import Claimed, Finished
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from infrastructure.postgres.mail import PostgresMail
from infrastructure.postgres.pool import Pool
from infrastructure.postgres.queries import Queries
from tests.support.probe import QUEUES, machine

WAITING = 100_000
OLD = 200_000

_OLD_TASKS = """
    INSERT INTO app.jobs (job_id, job_type, parameters, status, stage, result, finished_at, created_at)
    SELECT encode(sha256(n::text::bytea), 'hex'), 'probe_light', '{}', 'completed', 1, '{}',
        now() - interval '1 day', now() - interval '2 days'
    FROM generate_series(1, 2000) n;
    INSERT INTO app.stages (job_key, stage, name, task_type, queue, heavy, max_failures, expected, remaining, status,
        finished_at)
    SELECT job_key, 1, 'one', 'probe_light', 'vector-tasks', false, 3, 100, 0, 'completed', now() FROM app.jobs;
    INSERT INTO app.tasks (job_key, stage, task_index, task_key, task_type, parameters, status, result, finished_at)
    SELECT job_key, 1, i, 'key-' || i, 'probe_light', '{}', 'completed', '{}', now()
    FROM app.jobs, generate_series(0, 99) i;
    INSERT INTO app.job_events (job_key, stage, task_index, event_type, event_status)
    SELECT job_key, 1, i, 'task_completed', 'success' FROM app.jobs, generate_series(0, 99) i;
    INSERT INTO app.dead_letters (kind, cause, fingerprint, error_code, error_message, payload, state, outbox_id,
        resolved_at, resolved_by, resolution)
    SELECT 'callback', 'exhausted', md5((n % 50)::text), 'X', 'x', '{}', 'discarded', n, now(), 'ann', 'why'
    FROM generate_series(1, 50000) n;
"""


@dataclass
class Reading:
    """What the statements of a transaction read: rows by table, and how each table was scanned."""

    rows: dict[str, int] = field(default_factory=dict)
    scans: set[str] = field(default_factory=set)

    def add(self, node: dict) -> None:
        if "Scan" in node["Node Type"] and "Relation Name" in node:
            dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            table = node["Relation Name"]
            self.rows[table] = self.rows.get(table, 0) + round((node["Actual Rows"] + dropped) * node["Actual Loops"])
            self.scans.add(f"{node['Node Type']} on {table}")
        for child in node.get("Plans", ()):
            self.add(child)

    def whole(self) -> set[str]:
        """The tables that were read from end to end."""
        return {scan for scan in self.scans if scan.startswith("Seq Scan")}


@pytest.fixture(scope="module")
def crowded(cluster: Cluster, templates: Templates, template: str) -> Iterator[str]:
    """A database where 100,000 tasks wait and 200,000 are done."""
    name = templates.clone(template)
    url = cluster.conninfo(name)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(_OLD_TASKS)
    with ConnectionPool(url, kwargs={"autocommit": True}, min_size=1, max_size=2, open=True) as pool:
        machine(pool).submit("probe_light", {"name": "long", "widths": [WAITING, 1, 1]})
        with pool.connection() as conn:
            conn.execute("VACUUM ANALYZE")
    yield url
    templates.drop(name)


@pytest.fixture
def pool(crowded: str) -> Iterator[Pool]:
    with ConnectionPool(crowded, kwargs={"autocommit": True}, min_size=1, max_size=1, open=True) as opened:
        yield opened


@contextmanager
def reading(pool: Pool) -> Iterator[Reading]:
    """What is read meanwhile, also inside functions, as PostgreSQL's own auto_explain tells it."""
    told = Reading()

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if "plan:" in text:
            told.add(json.loads(text[text.index("{") :])["Plan"])

    settings = {"log_min_duration": "0", "log_analyze": "on", "log_timing": "off", "log_format": "json"}
    settings["log_nested_statements"] = "on"
    with pool.connection() as conn:
        conn.execute("LOAD 'auto_explain'")
        for name, value in settings.items():
            conn.execute(f"SET auto_explain.{name} = '{value}'")
        conn.execute("SET client_min_messages = log")
        conn.add_notice_handler(note)
    try:
        yield told
    finally:
        with pool.connection() as conn:
            conn.remove_notice_handler(note)
            conn.execute("RESET ALL")


@pytest.fixture
def m(pool: Pool) -> CoreMachine:
    return machine(pool)


def claim(m: CoreMachine, count: int) -> list[Claimed]:
    return m.store.step(m.worker, QUEUES, count, 30, [])


def finished(claims: list[Claimed]) -> list[Finished]:
    return [Finished(c, json.dumps({"key": f"key-{c.task_index}", "attempt": 1}), 1) for c in claims]


def test_a_claim_reads_the_rows_it_takes_and_none_of_other_queues(pool: Pool, m: CoreMachine) -> None:
    with reading(pool) as told:
        assert len(claim(m, 10)) == 10
    assert told.whole() == set()
    assert told.rows["queue"] <= 40, told
    assert told.rows["tasks"] == 10


def test_a_completion_reads_its_own_rows(pool: Pool, m: CoreMachine) -> None:
    claims = claim(m, 10)
    with reading(pool) as told:
        m.store.step(m.worker, QUEUES, 0, 30, finished(claims[:9]))
    assert told.whole() == set()
    assert (told.rows["queue"], told.rows["tasks"], told.rows["stages"]) == (9, 9, 1)
    with reading(pool) as told:
        m.store.complete(m.worker, 30, finished(claims[9:])[0], [])
    assert told.whole() == set()
    assert (told.rows["queue"], told.rows["tasks"], told.rows["stages"]) == (1, 1, 1)


def test_a_failure_a_release_and_a_renewal_read_their_own_rows(pool: Pool, m: CoreMachine) -> None:
    claims = claim(m, 10)
    with reading(pool) as told:
        m.store.renew(m.worker, claims, 30)
        m.store.release(m.worker, claims[0])
        decided = m.store.fail(m.worker, claims[1], kind=ErrorKind.TRANSIENT, code="X", message="x", hint=None, delay=0)
    assert decided == "retrying"
    assert told.whole() == set()
    assert told.rows["queue"] <= 20
    assert told.rows["tasks"] <= 2


def test_an_advance_reads_its_own_job(pool: Pool, m: CoreMachine) -> None:
    made = m.submit("probe_light", {"name": "small", "widths": [1, 20, 1]})
    claims = PostgresMail(pool).claim(m.worker, QUEUES, [TaskId(made.job_id, 1, 0)], 30)
    advances = m.store.step(m.worker, QUEUES, 0, 30, finished(claims))
    with reading(pool) as told:
        m.advance(advances)
    assert told.whole() == set()
    assert told.rows["queue"] == 1
    assert told.rows["tasks"] <= 1 + 20  # the results of stage 1; what the new rows' owner check reads


def test_a_message_is_claimed_by_its_key(pool: Pool, m: CoreMachine) -> None:
    made = m.submit("probe_light", {"name": "named", "widths": [5, 1, 1]})
    with reading(pool) as told:
        found = PostgresMail(pool).claim(m.worker, QUEUES, [TaskId(made.job_id, 1, 3)], 30)
    assert [type(c) for c in found] == [Claimed]
    assert told.whole() == set()
    assert told.rows["queue"] <= 5


def test_a_sweep_reads_the_queue_once_and_no_finished_work(pool: Pool, m: CoreMachine) -> None:
    """There is no index on leases, on purpose: see the function. What it may never do is to look at each row twice."""
    claims = claim(m, 5)
    with pool.connection() as conn:
        ids = [c.queue_id for c in claims]
        conn.execute("UPDATE app.queue SET visible_at = now() - interval '1 s' WHERE queue_id = ANY (%s)", (ids,))
    with reading(pool) as told:
        assert m.store.sweep_leases(m.worker, 200) == 5
    assert told.whole() == {"Seq Scan on queue"}
    assert told.rows["queue"] <= WAITING + 200
    assert told.rows["tasks"] == 5


def test_the_janitor_reads_open_work_and_no_finished_work(pool: Pool, m: CoreMachine) -> None:
    with reading(pool) as told:
        assert m.store.mend(m.worker, 200) == 0
    assert told.rows["queue"] <= 2 * WAITING + 1000
    assert told.rows["jobs"] <= WAITING + 5000
    assert told.rows.get("tasks", 0) == 0


def test_retention_reads_what_it_removes(pool: Pool, m: CoreMachine) -> None:
    with pool.connection() as conn:
        conn.execute("UPDATE app.jobs SET archived_at = now() WHERE job_key <= 1000 AND archived_at IS NULL")
        conn.execute("ANALYZE app.jobs")
    with reading(pool) as told:
        assert m.store.archive(0.5, 20) == 20
    assert told.whole() <= {"Seq Scan on jobs"}, "of two thousand the planner may read all"
    assert told.rows["tasks"] <= 20 * 100 + 100
    assert told.rows["job_events"] <= 20 * 100 + 100
    with reading(pool) as told:
        assert m.store.drop_archived(0.5, 10) == 10
    small = {"Seq Scan on dataset_approvals", "Seq Scan on artifacts"}  # both are empty here
    assert told.whole() <= {"Seq Scan on jobs", *small}
    assert told.rows.get("job_events", 0) <= 100 * 10


@pytest.mark.parametrize(
    ("condition", "index"), [("IS NULL", "ix_jobs_to_archive"), ("IS NOT NULL", "ix_jobs_to_drop")]
)
def test_old_jobs_are_found_by_an_index(pool: Pool, condition: str, index: str) -> None:
    with pool.connection() as conn, conn.transaction():
        conn.execute("SET LOCAL enable_seqscan = off")
        plan = conn.execute(
            f"EXPLAIN SELECT job_key FROM app.jobs WHERE archived_at {condition} AND finished_at < now()"
            " ORDER BY finished_at LIMIT 50"
        ).fetchall()
    assert any(index in row[0] for row in plan)


def test_the_inbox_reads_a_page_of_letters(pool: Pool) -> None:
    letters = Queries("dead_letters")
    statement = sql.SQL(letters["letters"]).format(conditions=sql.SQL(""))
    with reading(pool) as told, pool.connection() as conn:
        assert len(conn.execute(statement, {"before": None, "limit": 50}).fetchall()) == 50
    assert told.whole() == set()
    assert told.rows["dead_letters"] <= 51
