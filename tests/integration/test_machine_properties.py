"""Whatever is done to jobs in whatever order, the rows are those of a small model, and no step breaks a rule.

The model knows the rules of docs/explanation/coremachine.md and nothing of SQL. `--machine-examples 999` looks further.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg_pool import ConnectionPool

from core.contracts.outcomes import Done
from core.errors import ErrorKind
from core.machine.identity import ADVANCE
from core.machine.machine import CoreMachine
from core.machine.store import Claimed, Finished
from infrastructure.postgres.mail import PostgresMail
from infrastructure.postgres.pool import Pool
from tests.support.machine_model import ENDED, Item, Job, Stage
from tests.support.probe import QUEUES, machine

T = TypeVar("T")
WORKERS = ("ann", "bob")


class Machine(RuleBasedStateMachine):
    """Random histories of a few small jobs and three workers."""

    pool: ClassVar[Pool]

    def __init__(self) -> None:
        super().__init__()
        self.query(
            "TRUNCATE app.jobs, app.stages, app.tasks, app.job_events, app.queue, app.outbox, app.dead_letters,"
            " app.janitor_runs CASCADE"
        )
        self.machines: dict[str, CoreMachine] = {w: machine(self.pool, w, lease=600) for w in (*WORKERS, "cyd")}
        self.jobs: dict[int, Job] = {}
        self.current: dict[str, int] = {}
        self.held: list[tuple[str, Claimed]] = []  #: every claim ever made; most are stale
        self.ends: dict[tuple, object] = {}

    def query(self, sql: str, *args: object) -> list[tuple]:
        with self.pool.connection() as conn:
            cursor = conn.execute(sql, args)
            return cursor.fetchall() if cursor.description else []

    def is_live(self, worker: str, claim: Claimed) -> bool:
        item = self.jobs[claim.job_key].open.get((claim.stage, claim.task_index))
        return item is not None and (item.worker, item.attempt) == (worker, claim.attempt)

    def pick(self, data: st.DataObject, *, advance: bool | None = None):
        """A claim made at some time: one that holds, one whose item has moved on to another, or any."""
        found = [chosen for chosen in self.held if advance is None or chosen[1].is_advance == advance]
        live = [chosen for chosen in found if self.is_live(*chosen)]
        late = [
            (worker, claim)
            for worker, claim in found
            if (claim.stage, claim.task_index) in self.jobs[claim.job_key].open and not self.is_live(worker, claim)
        ]
        pools = [pool for pool in (live, late, found) if pool]
        return one_of(one_of(pools, data), data) if pools else None

    def keep(self, worker: str, claims: list[Claimed]) -> None:
        """What the machine says it leased is what the model says could be, under the right attempt."""
        for claim in claims:
            assert self.is_live(worker, claim), claim
            self.held.append((worker, claim))

    # -- what clients do

    @initialize(
        widths=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2)), min_size=3, max_size=3)
    )
    def start(self, widths: list[tuple[int, int, int]]) -> None:
        for policy, shape in zip(("", "_collect", "_partial"), widths, strict=True):
            self.submit("probe_light", policy, shape)
        self.submit("probe_heavy", "", (0, 1, 1))  # which is due for its advance at once
        for worker in WORKERS:
            self.claim(worker, 4)

    @rule(
        kind=st.sampled_from(["probe_light", "probe_heavy"]),
        policy=st.sampled_from(["", "_collect", "_partial"]),
        widths=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)),
    )
    def submit(self, kind: str, policy: str, widths: tuple[int, int, int]) -> None:
        name = kind + policy
        made = self.machines["ann"].submit(name, {"name": "p", "widths": widths})
        known = self.current.get(made.job_id)
        again = known is not None and self.jobs[known].status in ("failed", "cancelled")
        assert made.accepted.created == (known is None or again)
        if not made.accepted.created:
            assert made.accepted.job_key == known
            return
        new = Job(name, widths, run=self.jobs[known].run + 1 if again else 1)
        assert made.accepted.run == new.run
        new.told["job_created"] += 1
        self.jobs[made.accepted.job_key] = new
        self.current[made.job_id] = made.accepted.job_key
        new.begin_stage(1)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel_job(self, data: st.DataObject) -> None:
        key = one_of(sorted(self.jobs), data)
        job = self.jobs[key]
        assert self.query("SELECT app.cancel_job(%s, 'test', 'asked')", key) == [(job.status not in ENDED,)]
        if job.status not in ENDED:
            job.stop("cancelled")

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel_task(self, data: st.DataObject) -> None:
        key = one_of(sorted(self.jobs), data)
        job = self.jobs[key]
        if not job.tasks:
            return
        stage, index = one_of(sorted(job.tasks), data)
        may = (stage, index) in job.open
        assert self.query("SELECT app.cancel_task(%s, %s, %s, 'test', 'asked')", key, stage, index) == [(may,)]
        if may:
            job.tasks[stage, index] = "cancelled"
            job.give_up((stage, index))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        key = one_of(sorted(self.jobs), data)
        old = self.jobs[key]
        may = old.status in ("failed", "cancelled", "completed_with_errors") and key in self.current.values()
        rows = self.query("SELECT job_key, run, stage, reopened FROM app.retry_job(%s, 'test')", key)
        assert bool(rows) == may
        if not may:
            return
        [(new_key, run, stage, reopened)] = rows
        left = [s for (s, _), state in old.tasks.items() if state != "completed"]
        new = Job(old.kind, old.widths, run=old.run + 1)
        new.told["job_created"] += 1
        new.stage = min(left, default=old.stage)
        for number in range(1, new.stage + 1):
            width = old.widths[number - 1]
            again = [i for i in range(width) if old.tasks[number, i] != "completed"]
            new.tasks |= {(number, i): "open" if i in again else "completed" for i in range(width)}
            new.stages[number] = Stage(width, len(again), "processing" if again else "completed")
            new.open |= {(number, i): Item("heavy" in new.kind) for i in again}
        if not new.open:
            new.open[new.stage, ADVANCE] = Item(heavy=False)
        assert (run, stage, reopened) == (new.run, new.stage, new.stages[new.stage].remaining)
        self.jobs[new_key] = new
        self.current = {job_id: new_key if k == key else k for job_id, k in self.current.items()}

    # -- what workers do

    def take(self, worker: str, limit: int) -> int:
        """The model's side of a claim: how many items, light ones first, heavy ones alone."""
        free = [i for job in self.jobs.values() for i in job.open.values() if i.worker is None]
        light = sum(not i.heavy for i in free)
        return min(limit, light) if light else min(1, limit, len(free))

    def took(self, worker: str, claims: list[Claimed]) -> None:
        for claim in claims:
            job = self.jobs[claim.job_key]
            item = job.open[claim.stage, claim.task_index]
            assert item.worker is None
            item.worker, item.attempt = worker, item.attempt + 1
            assert (claim.attempt, claim.failures, claim.heavy) == (item.attempt, item.failures, item.heavy)
            if job.status == "queued":
                job.status = "processing"
                job.told["job_started"] += 1
        self.keep(worker, claims)

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(1, 8))
    def claim(self, worker: str, limit: int) -> None:
        expected = self.take(worker, limit)
        claims = self.machines[worker].store.step(worker, QUEUES, limit, 600, [])
        assert len(claims) == expected
        self.took(worker, claims)

    @rule(data=st.data(), count=st.integers(2, 4), twice=st.booleans())
    def complete_in_a_batch(self, data: st.DataObject, count: int, twice: bool) -> None:
        if (first := self.pick(data, advance=False)) is None:
            return
        worker = first[0]
        others = [c for w, c in self.held if w == worker and not c.is_advance and self.is_live(w, c) and c != first[1]]
        chosen = [first[1], *others[: count - 1]]
        done = [Finished(c, output(c), 1) for c in sorted(chosen, key=lambda c: c.queue_id)]
        advances = self.completed(worker, chosen)
        claims = self.machines[worker].store.step(worker, QUEUES, 0, 600, done)
        assert len(claims) == advances
        self.keep(worker, claims)
        if twice:
            assert self.machines[worker].store.step(worker, QUEUES, 0, 600, done) == []

    @rule(data=st.data())
    def complete_alone(self, data: st.DataObject) -> None:
        if (chosen := self.pick(data, advance=False)) is None:
            return
        worker, claim = chosen
        live, advances = self.is_live(worker, claim), self.completed(worker, [claim])
        claims = self.machines[worker].store.complete(worker, 600, Finished(claim, output(claim), 1), [])
        assert (claims is not None) == live
        assert len(claims or []) == advances
        self.keep(worker, claims or [])

    def completed(self, worker: str, claims: list[Claimed]) -> int:
        """The model's side of a completion; how many stages it ends."""
        advances = 0
        for claim in claims:
            if self.is_live(worker, claim):
                job, key = self.jobs[claim.job_key], (claim.stage, claim.task_index)
                del job.open[key]
                job.tasks[key] = "completed"
                job.told["task_completed"] += 1
                job.count_down(worker, 0)
                advances += (claim.stage, ADVANCE) in job.open
        return advances

    @rule(data=st.data(), kind=st.sampled_from(ErrorKind))
    def fail(self, data: st.DataObject, kind: ErrorKind) -> None:
        if (chosen := self.pick(data)) is None:
            return
        worker, claim = chosen
        live, job = self.is_live(worker, claim), self.jobs[claim.job_key]
        expected = job.end_attempt((claim.stage, claim.task_index), kind.value) if live else "stale"
        told = self.machines[worker].store.fail(
            worker, claim, kind=kind, code="TOLD_TO", message="told to", hint=None, delay=0
        )
        assert told == expected

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if (chosen := self.pick(data)) is None:
            return
        worker, claim = chosen
        live = self.is_live(worker, claim)
        assert self.machines[worker].store.release(worker, claim) == live
        if live:
            self.jobs[claim.job_key].open[claim.stage, claim.task_index].worker = None

    @rule(data=st.data(), times=st.sampled_from([1, 1, 2, 9]))
    def lose_a_lease_and_sweep(self, data: st.DataObject, times: int) -> None:
        if (chosen := self.pick(data)) is None or not self.is_live(*chosen):
            return
        _, claim = chosen
        job, key = self.jobs[claim.job_key], (claim.stage, claim.task_index)
        for _ in range(times):
            expired = "UPDATE app.queue SET visible_at = now() - interval '1 s' WHERE queue_id = %s"
            self.query(expired, claim.queue_id)
            if key not in job.open or job.open[key].worker is None:
                break  # not leased: being due long ago is no failure
            assert self.machines["bob"].store.sweep_leases("bob", 100) == 1
            if job.end_attempt(key, "lost") == "failed":
                break
            self.took("cyd", [c for c in [self.named(claim)] if c is not None])
        assert self.machines["bob"].store.sweep_leases("bob", 100) == 0

    def named(self, claim: Claimed) -> Claimed | None:
        """The same item, as a broker's message would claim it; only the newest run of a job answers to its name."""
        if claim.job_key not in self.current.values():
            return None
        [found] = PostgresMail(self.pool).claim("cyd", QUEUES, [claim.task_id], 600)
        return found if isinstance(found, Claimed) else None

    @rule(data=st.data(), late=st.booleans())
    def advance(self, data: st.DataObject, late: bool) -> None:
        if (chosen := self.pick(data, advance=True)) is None:
            return
        worker, claim = chosen
        job = self.jobs[claim.job_key]
        if late and self.is_live(worker, claim):
            assert self.machines[worker].store.release(worker, claim)
            job.open[claim.stage, ADVANCE].worker = None
        if self.is_live(worker, claim):
            del job.open[claim.stage, ADVANCE]
            if job.stages[job.stage].status == "failed":
                job.stop("failed")
            elif job.stage < len(job.widths):
                if job.status == "queued":
                    job.status = "processing"  # its stages so far were empty
                job.begin_stage(job.stage + 1)
            else:
                failed = any(stage.failed for stage in job.stages.values())
                job.status = "completed_with_errors" if failed else "completed"
                job.told["job_completed"] += 1
        self.machines[worker].advance([claim])

    @rule(data=st.data())
    def write_late(self, data: st.DataObject) -> None:
        """An old attempt wakes up and writes all it can."""
        if (chosen := self.pick(data)) is None or self.is_live(*chosen):
            return
        worker, claim = chosen
        before = self.everything()
        m = self.machines[worker]
        assert m.store.renew(worker, [claim], 600) == set()
        assert m.store.save_checkpoint(worker, claim, 1, {"late": True}) is False
        m.store.report_progress(worker, claim, 50, "late")
        if not claim.is_advance:
            m.settle(claim, Done(output(claim)), 1)
        assert self.everything() == before

    @rule()
    def mend(self) -> None:
        assert self.machines["bob"].store.mend("bob", 100) == 0

    # -- what must hold after every step

    def everything(self) -> list[tuple]:
        return [
            self.query("SELECT to_jsonb(q) FROM app.queue q ORDER BY queue_id"),
            self.query("SELECT to_jsonb(t) FROM app.tasks t ORDER BY job_key, stage, task_index"),
            self.query("SELECT to_jsonb(j) FROM app.jobs j ORDER BY job_key"),
            self.query("SELECT max(event_id), count(*) FROM app.job_events"),
        ]

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        jobs = self.query("SELECT job_key, run, status, stage FROM app.jobs")
        assert sorted(jobs) == sorted((k, j.run, j.status, j.stage) for k, j in self.jobs.items())
        stages = self.query("SELECT job_key, stage, status, expected, remaining, failed FROM app.stages")
        assert sorted(stages) == sorted(
            (k, n, s.status, s.expected, s.remaining, s.failed)
            for k, j in self.jobs.items()
            for n, s in j.stages.items()
        )
        tasks = self.query(
            "SELECT job_key, stage, task_index, CASE WHEN status IN ('pending', 'processing') THEN 'open'"
            " ELSE status::text END FROM app.tasks"
        )
        assert sorted(tasks) == sorted((k, *t, state) for k, j in self.jobs.items() for t, state in j.tasks.items())
        queue = self.query(
            "SELECT job_key, stage, task_index, coalesce(worker, ''), attempt, failures, losses, escalated, heavy"
            " FROM app.queue"
        )
        assert sorted(queue) == sorted(
            (k, *t, i.worker or "", i.attempt, i.failures, i.losses, i.escalated, i.heavy)
            for k, j in self.jobs.items()
            for t, i in j.open.items()
        )

    @invariant()
    def counters_are_the_open_tasks_and_no_job_is_stranded(self) -> None:
        assert self.query("SELECT * FROM app.stranded_jobs") == []
        wrong = self.query(
            "SELECT s.job_key, s.stage FROM app.stages s WHERE s.status = 'processing' AND s.remaining <>"
            " (SELECT count(*) FROM app.queue q WHERE q.job_key = s.job_key AND q.stage = s.stage AND task_index >= 0)"
        )
        assert wrong == []

    @invariant()
    def what_has_ended_never_changes(self) -> None:
        ended = self.query(
            "SELECT 'job', job_key, 0, 0, to_jsonb(j) - 'superseded_at' FROM app.jobs j WHERE finished_at IS NOT NULL"
            " UNION ALL SELECT 'task', job_key, stage, task_index, to_jsonb(t) FROM app.tasks t"
            " WHERE finished_at IS NOT NULL"
        )
        now = {tuple(key): row for *key, row in ended}
        assert {key: now.get(key) for key in self.ends} == self.ends
        self.ends = now

    @invariant()
    def every_change_is_told_once(self) -> None:
        counted = "job_created,job_started,job_completed,job_failed,job_cancelled,stage_started,stage_completed,"
        counted += "task_completed,task_failed"
        told = self.query(
            "SELECT job_key, event_type::text, count(*) FROM app.job_events"
            " WHERE event_type::text = ANY (string_to_array(%s, ',')) GROUP BY 1, 2",
            counted,
        )
        assert sorted(told) == sorted((k, e, n) for k, j in self.jobs.items() for e, n in j.told.items() if n)

    @invariant()
    def results_hold_what_completed(self) -> None:
        for key, result in self.query("SELECT job_key, result FROM app.jobs WHERE result IS NOT NULL"):
            job = self.jobs[key]
            done = [
                sorted(f"key-{i}" for (s, i), t in job.tasks.items() if s == n and t == "completed") for n in (1, 2, 3)
            ]
            assert result["keys"] == done


def one_of(choices: Sequence[T], data: st.DataObject) -> T:
    """One of them, by a draw that is the same however many there are.

    Which of the items that are due PostgreSQL leases is its affair, and Hypothesis gives up where a replay draws
    something else.
    """
    return choices[data.draw(st.integers(0, 2**20)) % len(choices)]


def output(claim: Claimed) -> str:
    return json.dumps({"key": f"key-{claim.task_index}", "attempt": claim.attempt})


@pytest.fixture
def pool(db: str) -> Iterator[Pool]:
    with ConnectionPool(db, kwargs={"autocommit": True}, min_size=1, max_size=3, open=True) as opened:
        yield opened


def search(pool: Pool, **more: object) -> None:
    Machine.pool = pool
    usual = {"max_examples": 35, "stateful_step_count": 50, "derandomize": True, "database": None, "deadline": None}
    run_state_machine_as_test(Machine, settings=settings(**(usual | more), suppress_health_check=list(HealthCheck)))


def test_any_history_of_jobs_leaves_the_rows_of_the_model(pool: Pool, request: pytest.FixtureRequest) -> None:
    examples = request.config.getoption("--machine-examples")
    search(pool, **({"max_examples": examples, "derandomize": False} if examples else {}))


@pytest.mark.parametrize(
    ("function", "rule", "broken"),
    [
        ("app.complete_tasks", "AND q.attempt = d.attempt AND q.worker = p_worker", ""),
        ("app.fail_task", "AND q.attempt = p_attempt AND q.worker = p_worker", ""),
        ("app.count_down", "s.remaining - p_counts[x], failed", "s.remaining - 1, failed"),
        ("app.advance_jobs", "AND q.attempt = s.attempt AND q.worker = p_worker AND q.task_index = -1", ""),
    ],
    ids=["a late completion counts", "a late failure counts", "a batch counts as one", "a late advance counts"],
)
def test_the_search_finds_a_rule_that_is_missing(pool: Pool, function: str, rule: str, broken: str) -> None:
    with pool.connection() as conn:
        text = conn.execute("SELECT pg_get_functiondef(to_regproc(%s))", (function,)).fetchone()[0]
        assert rule in text
        conn.execute(text.replace(rule, broken))
    with pytest.raises((AssertionError, psycopg.Error)):
        search(pool, phases=[Phase.generate], report_multiple_bugs=False, print_blob=False)
