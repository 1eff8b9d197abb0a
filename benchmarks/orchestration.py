"""What does CoreMachine itself cost? Jobs that do nothing, through real worker processes, on a database that flushes.

    python benchmarks/orchestration.py --scenario fan --n 1000 --workers 2

Prints one line `RESULT {json}`. Uses DATABASE_URL, which it fills with jobs, else a cluster under .local/bench.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # run as a file, but importing from the repository

import psycopg  # noqa: E402
from psycopg.conninfo import make_conninfo  # noqa: E402
from psycopg_pool import ConnectionPool  # noqa: E402

import config  # noqa: E402
from benchmarks import fan_job, meter  # noqa: E402
from core.contracts.tasks import Queue  # noqa: E402
from core.machine.attempts import Resources  # noqa: E402
from core.machine.machine import CoreMachine  # noqa: E402
from core.machine.registry import Registry  # noqa: E402
from core.machine.worker import Worker  # noqa: E402
from infrastructure.embedded.cluster import Cluster  # noqa: E402
from infrastructure.postgres import schema  # noqa: E402
from infrastructure.postgres.job_store import PostgresJobStore  # noqa: E402
from infrastructure.postgres.wakeups import Wakeups  # noqa: E402


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
        registry = Registry({fan_job.JOB.name: fan_job.JOB}, fan_job.HANDLERS)
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
    command = [sys.executable, __file__, "--worker", url, "--batch", str(batch)]
    started = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


class Jobs:
    """Submits jobs and waits for their ends."""

    def __init__(self, core: CoreMachine, url: str) -> None:
        self._core = core
        self._listener = psycopg.connect(url, autocommit=True)
        self._listener.execute("LISTEN geomachine_done")
        self._submitted = 0

    def submit(self, width: int) -> str:
        """Submit one more job of that width."""
        self._submitted += 1
        parameters = {"name": f"{os.getpid()}-{self._submitted}", "width": width}
        return self._core.submit(fan_job.JOB.name, parameters).job_id

    def wait(self, job_ids: set[str], seconds: float = 600) -> None:
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
        wrong = [row for row in rows if row[1:] != ("completed", sum(range(expected[str(row[0])])))]
        assert len(rows) == len(expected), f"{len(rows)} of {len(expected)} jobs are there"
        assert not wrong, f"wrong results: {wrong[:3]}"


def run_fan(jobs: Jobs, options: argparse.Namespace) -> dict[str, int]:
    """One wide job."""
    job_id = jobs.submit(options.n)
    jobs.wait({job_id})
    return {job_id: options.n}


def run_small(jobs: Jobs, options: argparse.Namespace) -> dict[str, int]:
    """Many small jobs at once."""
    expected = {jobs.submit(options.fan): options.fan for _ in range(options.jobs)}
    jobs.wait(set(expected))
    return expected


def run_seq(jobs: Jobs, options: argparse.Namespace) -> dict[str, int]:
    """Small jobs one after another: the latency of an idle system."""
    expected = {}
    for _ in range(options.jobs):
        started = time.perf_counter()
        job_id = jobs.submit(options.fan)
        jobs.wait({job_id})
        options.latencies.append((time.perf_counter() - started) * 1000)
        expected[job_id] = options.fan
        time.sleep(0.02)  # idle again
    return expected


SCENARIOS = {"fan": run_fan, "small": run_small, "seq": run_seq}


def measure(url: str, options: argparse.Namespace) -> dict[str, object]:
    """Run the scenario and say what it took."""
    with machine(url, "bench-submitter") as core, workers(url, options.workers, options.batch) as pids:
        jobs = Jobs(core, url)
        for _ in range(3):  # plans cached, connections open
            jobs.wait({jobs.submit(2 * options.batch * options.workers)})
        with psycopg.connect(url, autocommit=True) as conn:
            gauge = meter.Meter(conn, pids)
            before, started = gauge.read(), time.perf_counter()
            expected = SCENARIOS[options.scenario](jobs, options)
            seconds, after = time.perf_counter() - started, gauge.read()
        jobs.check(expected)
    tasks = sum(width + 2 for width in expected.values())
    return {
        "scenario": options.scenario,
        "jobs": len(expected),
        "tasks": tasks,
        "workers": options.workers,
        "batch": options.batch,
        "synchronous_commit": options.sync,
        "seconds": round(seconds, 3),
        "tasks_per_s": round(tasks / seconds, 1),
        "ms_per_task": round(seconds * 1000 / tasks, 4),
        **meter.per_task(before, after, tasks),
        **({"job_ms_median": round(statistics.median(options.latencies), 1)} if options.latencies else {}),
    }


@contextmanager
def database(sync: str) -> Iterator[str]:
    """DATABASE_URL, else a fresh database of our own cluster, dropped afterwards."""
    settings = config.load()
    parameters = f"-c synchronous_commit={sync}"
    if settings.database.url is not None:
        url = settings.database.url.get_secret_value()
        schema.ensure(url)
        yield make_conninfo(url, options=parameters)
        return
    cluster = Cluster(ROOT / ".local/bench", ROOT / ".local/postgresql", report=lambda m: print(m, file=sys.stderr))
    name = f"bench_{os.getpid()}"
    url = cluster.up(owner_pid=os.getpid(), database=name)
    try:
        schema.ensure(url)
        yield make_conninfo(url, options=parameters)
    finally:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as conn:
            conn.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", choices=SCENARIOS, default="fan")
    parser.add_argument("--n", type=int, default=1000, help="tasks of the wide stage (fan)")
    parser.add_argument("--jobs", type=int, default=200, help="how many jobs (small, seq)")
    parser.add_argument("--fan", type=int, default=5, help="tasks of their wide stage")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=50, help="WORKER_BATCH")
    parser.add_argument("--sync", choices=("on", "off"), default="on", help="synchronous_commit")
    parser.add_argument("--worker", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.latencies = []
    if options.worker:
        work(options.worker, options.batch)
        return
    with database(options.sync) as url:
        print("RESULT " + json.dumps(measure(url, options)), flush=True)


if __name__ == "__main__":
    main()
