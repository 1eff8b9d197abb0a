"""A real worker on the hazards, as a test sees it: parent, runners, database, log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from core.machine.machine import CoreMachine
from infrastructure.postgres.job_store import PostgresJobStore
from tests.support.hazards import REGISTRY
from tests.support.probe import Silent, no_resources
from tests.support.system import ROOT, environment, free_port

PATIENCE = 120.0


class Workplace:
    """A database, a folder where handlers leave marks, and the workers started on them."""

    def __init__(self, conninfo: str, home: Path, program: str = "tests.support.hazards") -> None:
        self.conninfo = conninfo
        self.home = home
        self.program = program
        self.log = home / "worker.log"
        self._started: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def worker(self, runners: int = 1, **settings: str) -> Iterator[WorkerProcess]:
        """A worker while inside; killed with its runners at the end."""
        port = free_port()
        defaults = {"TASK_LEASE_SECONDS": "600", "WORKER_GRACE_SECONDS": "10", "TASK_RETRY_BASE_DELAY": "0"}
        env = environment(self.conninfo, self.home, WORKER_HEALTH_PORT=str(port), **(defaults | settings))
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", self.program, str(runners)], env=env, stdout=out, stderr=out, cwd=ROOT
            )
        worker = WorkerProcess(process, f"http://127.0.0.1:{port}")
        try:
            yield worker
        finally:
            known = worker.pids()
            process.kill()
            process.wait()
            for pid in known:
                kill(pid)

    def submit(self, job_type: str, hazard: str = "none", **parameters: object) -> str:
        """A job of hazards; its id."""
        with ConnectionPool(self.conninfo, kwargs={"autocommit": True}, min_size=1, max_size=1, open=True) as pool:
            machine = CoreMachine(REGISTRY, PostgresJobStore(pool), no_resources, worker="submitter", log=Silent())
            given = {"name": hazard, "folder": str(self.home), "hazard": hazard, **parameters}
            return machine.submit(job_type, given).job_id

    def query(self, statement: str, *arguments: object) -> list[dict]:
        """Rows as dictionaries."""
        with psycopg.connect(self.conninfo, autocommit=True, row_factory=dict_row) as conn:
            return conn.execute(statement, arguments).fetchall()

    def job(self, job_id: str) -> dict:
        """The job's row."""
        [row] = self.query("SELECT * FROM app.jobs WHERE job_id = %s AND superseded_at IS NULL", job_id)
        return row

    def ended(self, job_id: str) -> dict:
        """The job's row once it has ended."""
        self.until(lambda: self.job(job_id)["finished_at"] is not None, "the job did not end")
        return self.job(job_id)

    def tasks(self) -> list[dict]:
        """Every task's row, in order."""
        return self.query("SELECT * FROM app.tasks ORDER BY stage, task_index")

    def marked(self, name: str) -> str:
        """What a handler wrote into its mark, once it has."""
        path = self.home / name
        self.until(path.exists, f"no handler left the mark {name}")
        return path.read_text()

    def until(self, condition: Callable[[], object], complaint: str) -> None:
        """Wait for something, with patience for a loaded machine."""
        ends = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > ends:
                raise AssertionError(f"{complaint}; the log ends:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Nobody gets into the database while inside, and nobody stays in it."""
        name = conninfo_to_dict(self.conninfo)["dbname"]
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        with psycopg.connect(make_conninfo(self.conninfo, dbname="postgres"), autocommit=True) as admin:
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            try:
                yield
            finally:
                admin.execute(allow.format(sql.Identifier(name), sql.SQL("true")))

    def logged(self, event: str) -> list[dict]:
        """What was logged under one event word."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [found for line in lines if (found := json.loads(line)).get("event") == event]


class WorkerProcess:
    """A running worker's parent."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url
        self._seen: set[int] = set()

    def health(self, path: str = "/health") -> tuple[int, dict]:
        """Status code and body; 0 and nothing while nobody answers."""
        try:
            answer = httpx.get(f"{self.url}{path}", trust_env=False, timeout=10)
        except httpx.HTTPError:
            return 0, {}
        return answer.status_code, answer.json()

    def healthy(self) -> bool:
        """True once every runner works."""
        return self.health()[0] == 200

    def runners(self) -> list[int]:
        """The runners' process ids."""
        _, body = self.health()
        found = [runner["pid"] for runner in body.get("runners", ()) if runner["pid"]]
        self._seen.update(found)
        return found

    def pids(self) -> set[int]:
        """Every runner that was ever seen."""
        self.runners()
        return self._seen


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to what may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def lives(pid: int) -> bool:
    """True while the process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
