"""Real workers on a database that holds them where they are to die: a trigger waits for a lock that the test has."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.support.system import ROOT, environment
from tests.support.workers import kill, lives

PATIENCE = 120.0
_WAIT = "PERFORM pg_advisory_xact_lock(4711);"
HOLD = """
CREATE FUNCTION public.hold() RETURNS {kind} LANGUAGE plpgsql AS $$ BEGIN {wait} {answer} END $$;
"""

#: Who waits for an advisory lock in this database: others of the cluster are other tests'.
_WAITING = (
    "FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass
class Floor:
    """A database, and workers on it."""

    db: str
    home: Path
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.home / "worker.log"

    def start(self) -> subprocess.Popen[bytes]:
        """A worker with one runner, in the shape operators run it."""
        env = environment(self.db, self.home, TASK_LEASE_SECONDS="3", TASK_RETRY_BASE_DELAY="0", WORKER_PROCESSES="1")
        with self.log.open("ab") as out:
            command = [sys.executable, "-m", "triggers.cli", "worker"]
            self._started.append(subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=ROOT))
        return self._started[-1]

    def murder(self, worker: subprocess.Popen[bytes]) -> None:
        """kill -9, parent and runners; their connections end as they would with the machine."""
        tree = family(worker.pid)
        for pid in tree:
            kill(pid)
        worker.wait()
        self.until(lambda: not any(map(lives, tree)), "the worker lives on")
        self.query(f"SELECT pg_terminate_backend(pid) {_WAITING}")

    def close(self) -> None:
        """End what still lives."""
        for worker in self._started:
            for pid in family(worker.pid) if worker.poll() is None else ():
                kill(pid)
            worker.wait()

    def query(self, statement: str, *values: object) -> list[tuple]:
        with psycopg.connect(self.db, autocommit=True) as conn:
            cursor = conn.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def until(self, condition: Callable[[], object], complaint: str) -> None:
        ends = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > ends:
                raise AssertionError(f"{complaint}; the log ends:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    @contextmanager
    def held(self, table: str, event: str, when: str = "true") -> Iterator[None]:
        """Whoever does this to a row of the table, or as DDL where it is EVENT, waits there while inside."""
        if table == "EVENT":
            self.query(HOLD.format(kind="event_trigger", wait=_WAIT, answer=""))
            self.query(
                f"CREATE EVENT TRIGGER hold ON ddl_command_end WHEN TAG IN ('{event}') EXECUTE FUNCTION public.hold()"
            )
            end = "DROP EVENT TRIGGER hold"
        else:
            self.query(HOLD.format(kind="trigger", wait=_WAIT, answer="RETURN NEW;"))
            self.query(
                f"CREATE TRIGGER hold BEFORE {event} ON {table} FOR EACH ROW WHEN ({when})"
                " EXECUTE FUNCTION public.hold()"
            )
            end = f"DROP TRIGGER hold ON {table}"
        with psycopg.connect(self.db, autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(4711)")
            yield
            self.query(end)

    def arrived(self) -> bool:
        """Whether somebody waits at the point."""
        return self.query(f"SELECT EXISTS (SELECT {_WAITING})") == [(True,)]


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(process.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += family(int(process.parent.name))
    return found
