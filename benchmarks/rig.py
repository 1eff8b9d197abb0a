"""What is measured, set up: a database that flushes every commit, real worker processes, and someone who submits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

import config
from benchmarks import jobs
from core.contracts.tasks import Queue
from core.machine.attempts import Resources
from core.machine.machine import CoreMachine
from core.machine.registry import Registry
from core.machine.worker import Worker
from infrastructure.embedded.cluster import Cluster
from infrastructure.postgres import schema
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.postgres.wakeups import Wakeups

ROOT = Path(__file__).resolve().parents[1]


class Silent:
    """Logging is not what is measured."""

    def info(self, event: str, **fields: object) -> None:
        """Nothing."""

    def warning(self, event: str, **fields: object) -> None:
        """Failures and stale tasks are worth seeing."""
        print(event, fields, file=sys.stderr)


def no_resources() -> Resources:
    """The tasks touch neither blobs nor tables."""
    raise AssertionError


@contextmanager
def machine(url: str, name: str) -> Iterator[CoreMachine]:
    """A CoreMachine as a process has it."""
    with ConnectionPool(url, kwargs={"autocommit": True}, min_size=1, max_size=4, open=True) as pool:
        registry = Registry(jobs.JOBS, jobs.HANDLERS)
        yield CoreMachine(registry, PostgresJobStore(pool), no_resources, worker=name, log=Silent())


def work(url: str, batch: int) -> None:
    """A worker process, until SIGTERM."""
    with machine(url, f"bench-{os.getpid()}") as core:
        wakeups = Wakeups(url)
        loop = Worker(core, [q.value for q in Queue], batch=batch, poll=1.0, wait=wakeups.wait, log=Silent())
        signal.signal(signal.SIGTERM, lambda *_: loop.stop())
        loop.run()
        wakeups.close()


@contextmanager
def workers(url: str, count: int, batch: int) -> Iterator[list[int]]:
    """Worker processes while inside; their process numbers."""
    command = [sys.executable, str(ROOT / "benchmarks/orchestration.py"), "--worker", url, "--batch", str(batch)]
    started = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


class Submitter:
    """Submits jobs, waits for their ends and checks what they say."""

    def __init__(self, core: CoreMachine, url: str) -> None:
        self._core = core
        self._listener = psycopg.connect(url, autocommit=True)
        self._listener.execute("LISTEN geomachine_done")
        self._submitted = 0

    def submit(self, job_type: str, widths: Sequence[int]) -> list[str]:
        """Submit jobs of these widths, at once."""
        made = []
        for width in widths:
            self._submitted += 1
            parameters = {"name": f"{os.getpid()}-{self._submitted}", "width": width}
            made.append(self._core.prepare(job_type, parameters))
        return [submission.job_id for submission in self._core.submit_all(made)]

    def wait(self, job_ids: Sequence[str], seconds: float = 600) -> None:
        """Return when all have ended."""
        waiting = set(job_ids)
        for told in self._listener.notifies(timeout=seconds):
            waiting.discard(told.payload)
            if not waiting:
                return
        raise SystemExit(f"{len(waiting)} jobs did not end within {seconds} s")

    def check(self, expected: dict[str, int]) -> None:
        """Every job completed with the sum of its tasks' answers."""
        rows = self._listener.execute(
            "SELECT job_id, status, (result ->> 'total')::bigint FROM app.jobs WHERE job_id = ANY (%s)",
            [list(expected)],
        ).fetchall()
        wrong = [row for row in rows if row[1:] != ("completed", expected[str(row[0])])]
        assert len(rows) == len(expected), f"{len(rows)} of {len(expected)} jobs are there"
        assert not wrong, f"wrong results: {wrong[:3]}"


@contextmanager
def cluster_database() -> Iterator[str]:
    """A fresh database of a cluster under .local/bench that flushes every commit, dropped afterwards."""
    cluster = Cluster(ROOT / ".local/bench", ROOT / ".local/postgresql", report=lambda m: print(m, file=sys.stderr))
    name = f"bench_{os.getpid()}"
    url = cluster.up(owner_pid=os.getpid(), database=name)
    try:
        yield url
    finally:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def database(sync: str) -> Iterator[str]:
    """DATABASE_URL, else a fresh database of our own, with the schema in it."""
    configured = config.load().database.url
    options = f"-c synchronous_commit={sync}"
    if configured is not None:
        schema.ensure(configured.get_secret_value())
        yield make_conninfo(configured.get_secret_value(), options=options)
        return
    with cluster_database() as url:
        schema.ensure(url)
        yield make_conninfo(url, options=options)
