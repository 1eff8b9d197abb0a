"""A system of real processes, and what is done to it: kills, pauses, cuts, crashes of the server, wrong messages."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psycopg

from core.errors import GeomachineError, TransientError
from core.machine.broker import Desk
from infrastructure.embedded.cluster import Cluster
from infrastructure.postgres.mail import PostgresMail
from infrastructure.postgres.pool import translated
from infrastructure.queues import ServiceBus, connection
from tests.chaos import roles
from tests.chaos.proxy import Proxy
from tests.sb_emulator.fixture import Emulator
from tests.support.probe import QUEUES, Silent

ROOT = Path(__file__).resolve().parents[2]
LEASE = 1.5
WORKERS = 4
_SKEWS = (0.0, 7200.0)  #: seconds by which the clocks of half of the processes are wrong

_SOME_TASKS = """
    SELECT j.job_id || '-s' || t.stage || '-' || t.task_index, j.job_id || '-s' || t.stage || '-advance'
    FROM (SELECT * FROM app.jobs ORDER BY random() LIMIT 4) j
    JOIN LATERAL (SELECT * FROM app.tasks t WHERE t.job_key = j.job_key ORDER BY random() LIMIT 1) t ON true
"""


@dataclass(frozen=True)
class Plan:
    """What a run is: its seed gives the jobs and the order of the faults."""

    seed: int
    seconds: float
    jobs: int
    widest: int
    broken: bool = False
    faults: tuple[str, ...] = (
        "kill",
        "kill",
        "pause",
        "before",
        "before",
        "after",
        "after",
        "cut",
        "service",
        "messages",
    )
    crashes: bool = True


@dataclass
class Nursery:
    """One process that starts others, all with the same wrong clock."""

    skew: float
    errors: IO[bytes]
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        argv = [sys.executable, "-W", "ignore", "-m", "tests.chaos.nursery", str(self.skew)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen(argv, cwd=ROOT, text=True, **pipes)

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self, part: dict[str, object]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(part) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Storm:
    """One run over one database, and over a broker when there is one."""

    def __init__(self, plan: Plan, cluster: Cluster, database: str, emulator: Emulator | None, folder: Path) -> None:
        self.plan = plan
        self.done: Counter[str] = Counter()
        self._rnd = random.Random(plan.seed)
        self._cluster = cluster
        self._database = database
        self._emulator = emulator
        self._told = folder / "told"
        self._errors = folder / "errors"
        self._told.touch()
        address = urlsplit(cluster.conninfo(database))
        self._proxy = Proxy("127.0.0.1", address.port or 0)
        self._url = address._replace(netloc=address.netloc.rpartition(":")[0] + f":{self._proxy.port}").geturl()
        self._pool = roles.pool_to(cluster.conninfo(database))
        self._bus = self._connect_bus()
        dispatch = self._bus and self._bus.courier.call
        self._machine = roles.machine(self._pool, "driver", 30.0, dispatch=dispatch)
        with self._errors.open("wb") as errors:
            self._nurseries = [Nursery(skew, errors) for skew in _SKEWS]
        for nursery in self._nurseries:
            nursery.ready()
        self._workers: dict[int, int] = {}  #: which nursery each process is from
        self._paused: dict[int, threading.Timer] = {}
        self._service: int | None = None
        self._closing = threading.Event()
        self._timers = threading.Thread(target=self._run_timers, name="timers", daemon=True)
        self._timers.start()

    # -- the run

    def run(self) -> None:
        """Disturb for the planned time, then let everything come to rest."""
        started = time.monotonic()
        crash_at = started + 4
        while time.monotonic() - started < self.plan.seconds:
            self._keep_up()
            self._disturb(self._rnd.choice(self.plan.faults))
            if self.plan.crashes and time.monotonic() > crash_at:
                self._crash(self._rnd.choice((signal.SIGKILL, signal.SIGQUIT)))
                crash_at = time.monotonic() + 7
            time.sleep(self._rnd.uniform(0.02, 0.25))
        self._come_to_rest()

    def accepted(self) -> dict[int, str]:
        """The jobs whose submitter was told so."""
        lines = self._told.read_text().splitlines()
        return {int(number): job_id for number, job_id in (line.split() for line in lines)}

    def errors(self) -> str:
        """What processes said before they ended by themselves."""
        text = self._errors.read_text(errors="replace")
        return text[text.find("Traceback") :][:4000] if "Traceback" in text else ""

    def said(self) -> str:
        return self._errors.read_text(errors="replace")[-3000:]

    def query(self, sql: str, *args: object) -> list[tuple]:
        with self._pool.connection() as conn:
            return conn.execute(sql, args).fetchall()

    def figures(self) -> str:
        [(jobs, tasks, losses)] = self.query(
            "SELECT (SELECT count(*) FROM app.jobs), (SELECT count(*) FROM app.tasks),"
            " (SELECT count(*) FROM app.job_events WHERE event_type = 'lease_expired')"
        )
        counts = self.done + Counter({f"cut {kind}": n for kind, n in self._proxy.cuts.items()})
        return f"seed {self.plan.seed}: {jobs} jobs, {tasks} tasks, {losses} lost leases; " + ", ".join(
            f"{n} {what}" for what, n in sorted(counts.items())
        )

    def close(self) -> None:
        """End every process of the run."""
        self._closing.set()
        self._timers.join()
        for alarm in self._paused.values():
            alarm.cancel()
        for pid in self._workers:
            _signal(pid, signal.SIGKILL)
        if self._service is not None:
            _signal(self._service, signal.SIGKILL)
        for nursery in self._nurseries:
            nursery.close()
        if self._bus is not None:
            self._bus.close()
        self._pool.close()
        self._proxy.close()

    # -- keeping it going

    def _connect_bus(self) -> ServiceBus | None:
        if self._emulator is None:
            return None
        self._mark = uuid.uuid4().hex[:8]
        bus = ServiceBus(roles.bus_settings(**self._bus_part()), self._pool, Silent())
        bus.administration.ensure()
        return bus

    def _bus_part(self) -> dict[str, object] | None:
        if self._emulator is None:
            return None
        return {
            "connection_string": self._emulator.connection_string,
            "admin_port": self._emulator.info["admin"],
            "mark": self._mark,
        }

    def _part(self, role: str, **more: object) -> dict[str, object]:
        common = {"role": role, "url": self._url, "name": role, "lease": LEASE, "bus": self._bus_part()}
        return {**common, "broken": self.plan.broken, **more}

    def _keep_up(self) -> None:
        """Replace who was killed."""
        self._paused = {pid: alarm for pid, alarm in self._paused.items() if alarm.is_alive()}
        self._workers = {pid: n for pid, n in self._workers.items() if _alive(pid)}
        while len(self._workers) < WORKERS:
            where = min(range(len(self._nurseries)), key=lambda n: list(self._workers.values()).count(n))
            self._workers[self._nurseries[where].start(self._part("worker"))] = where
        first = len(self.accepted())
        if first < self.plan.jobs and (self._service is None or not _alive(self._service)):
            pause = self.plan.seconds / self.plan.jobs / 2
            more = {"first": first, "last": self.plan.jobs, "pause": pause, "seed": self.plan.seed}
            part = self._part("service", told=str(self._told), widest=self.plan.widest, **more)
            self._service = self._rnd.choice(self._nurseries).start(part)

    def _run_timers(self) -> None:
        """What timers do in an installation, every second."""
        while not self._closing.wait(1):
            self._patiently(self._machine.sweep)
            if self._bus is not None:
                self._patiently(self._bus.dispatcher.dispatch)

    def _patiently(self, act: Callable[[], object]) -> None:
        with suppress(GeomachineError):
            act()

    def _come_to_rest(self) -> None:
        """Until every job has ended, or nothing has moved for a while."""
        last, moved = None, time.monotonic()
        while time.monotonic() - moved < (6 if self.plan.broken else 25):
            self._keep_up()
            with suppress(psycopg.Error, TransientError):
                now = (
                    self.query("SELECT count(*), count(finished_at) FROM app.jobs"),
                    self.query("SELECT max(event_id) FROM app.job_events"),
                )
                if now != last:
                    last, moved = now, time.monotonic()
                if now[0] == [(self.plan.jobs, self.plan.jobs)] and len(self.accepted()) == self.plan.jobs:
                    break
                [(jobs, ended)] = now[0]
                if len(self.accepted()) == self.plan.jobs and jobs == ended:
                    break
            time.sleep(0.2)

    # -- disturbing it

    def _disturb(self, what: str) -> None:
        running = [pid for pid in self._workers if pid not in self._paused]
        match what:
            case "kill" if running:
                _signal(self._rnd.choice(running), signal.SIGKILL)
            case "pause" if len(running) > 1:
                self._pause(self._rnd.choice(running), LEASE * self._rnd.uniform(1.2, 2.0))
            case "before" | "after":
                self._proxy.arm(what)
                return
            case "cut":
                self._proxy.cut(self._rnd)
                return
            case "service" if self._service is not None:
                _signal(self._service, signal.SIGKILL)
            case "messages":
                self._patiently(self._send_messages)
            case "broker" if self._emulator is not None:
                self._break_broker(self._emulator)
            case _:
                return
        self.done[what] += 1

    def _pause(self, pid: int, seconds: float) -> None:
        """Stop a process for a while, perhaps with row locks that this very thread will wait for."""
        _signal(pid, signal.SIGSTOP)
        self._paused[pid] = alarm = threading.Timer(seconds, _signal, (pid, signal.SIGCONT))
        alarm.start()

    def _crash(self, number: signal.Signals) -> None:
        """End the server without warning, and start it again; what it had committed is there."""
        pid = self._cluster.pid()
        assert pid is not None
        os.kill(pid, number)
        while self._cluster.running():
            time.sleep(0.02)
        self._cluster.up(database=self._database)
        self.done[f"server {number.name}"] += 1

    def _send_messages(self) -> None:
        """Messages about tasks done, open and held, twice and out of order; about stages; about nothing."""
        with translated(), self._pool.connection() as conn:
            names = conn.execute(_SOME_TASKS).fetchall()
        ids = [name for row in names for name in row] + ["0" * 64 + "-s1-0"]
        ids += self._rnd.sample(ids, k=len(ids) // 2)
        self._rnd.shuffle(ids)
        desk = Desk(self._machine, PostgresMail(self._pool), QUEUES)
        for task_id in ids:
            desk.handle(json.dumps({"task_id": task_id, "attempt": 1}))

    def _break_broker(self, emulator: Emulator) -> None:
        match self._rnd.choice(("cut", "settle", "send", "lose")):
            case "cut":
                emulator.drop_connections()
            case "settle":
                emulator.fail_next("settle", self._rnd.choice(("drop-before", "drop-after")))
            case "send":
                emulator.fail_next("send", self._rnd.choice(("drop-before", "drop-after", "com.microsoft:server-busy")))
            case "lose":
                self._patiently(self._lose_messages)

    def _lose_messages(self) -> None:
        """Take messages and forget them."""
        settings = roles.bus_settings(**self._bus_part())
        name = self._rnd.choice((settings.vector_queue, settings.jobs_queue))
        with connection.translated("losing"), connection.client(settings) as client:
            receiver = client.get_queue_receiver(name)
            for message in receiver.receive_messages(max_message_count=5, max_wait_time=0.3):
                receiver.complete_message(message)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
