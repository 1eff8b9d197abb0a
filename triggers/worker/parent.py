"""The worker's parent: keeps the runners alive and within their limits. It runs no job's code, so none can kill it."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

from config import Settings, inherited
from core.errors import OutOfMemory, TaskTimeout
from core.machine.machine import Log
from core.machine.scratch import drop_abandoned
from triggers.worker import health, signals
from triggers.worker.child import ROOT, Child
from triggers.worker.deaths import Registrar
from triggers.worker.health import Report, RunnerState, State
from triggers.worker.memory import resident_mb

_TICK = 0.2  #: seconds between two looks at the runners
_STALE = 10.0  #: seconds after which an idle runner that got no answer from the database is said to wait for it


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Parent:
    """A worker: `count` runners of a module, until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, log: Log, *, count: int, module: str = "triggers.worker") -> None:
        self._settings = settings.worker
        self._log = log
        self._stopping = threading.Event()
        self._begun = time.monotonic()
        self._stale = max(_STALE, 3 * settings.worker.poll_seconds)
        environment = inherited(GEOMACHINE_HOME=str(settings.app.home), PYTHONPATH=str(ROOT))
        if settings.database.url is not None:
            environment["DATABASE_URL"] = settings.database.url.get_secret_value()
        self._children = [Child(module, environment) for _ in range(count)]
        self._registrar = Registrar(settings.database, log)
        self._host = settings.server.host
        self._scratch = settings.app.home / "scratch"

    def run(self) -> None:
        """Work until told to stop, then stop everything within the grace period."""
        signals.listen({signal.SIGTERM: self._stopping.set, signal.SIGINT: self._stopping.set})
        with health.served(self._host, self._settings.health_port, self.report):
            self._log.info("worker_parent_started", pid=os.getpid(), runners=len(self._children))
            drop_abandoned(self._scratch, time.time())
            while not self._stopping.is_set():
                for child in self._children:
                    self._bury(child)
                    self._start(child)
                    self._limit(child)
                self._stopping.wait(_TICK)
            self._wind_down()
        self._log.info("worker_parent_stopped", pid=os.getpid())

    def report(self) -> Report:
        """What /health shows."""
        runners = [self._state(child) for child in self._children]
        working = all(r.state in (State.IDLE, State.RUNNING) for r in runners)
        status = "shutting_down" if self._stopping.is_set() else "healthy" if working else "degraded"
        return Report(status, round(time.monotonic() - self._begun, 1), runners)

    def _state(self, child: Child) -> RunnerState:
        slot, pid, now = child.slot, child.pid, time.monotonic()
        if slot is None or pid is None:
            return RunnerState(None, None, State.RESTARTING, restarts=max(child.restarts, 0))
        running, worker = slot.read(), slot.worker
        if child.stopping or self._stopping.is_set():
            state = State.STOPPING
        elif worker is None:
            state = State.STARTING
        elif running is not None:
            state = State.RUNNING
        else:
            state = State.IDLE if now - slot.signed < self._stale else State.WAITING
        task = str(running.task) if running else None
        seconds = round(now - running.started, 1) if running else None
        return RunnerState(pid, worker, state, task, seconds, resident_mb(pid), child.restarts)

    def _start(self, child: Child) -> None:
        try:
            child.start_if_due()
        except OSError as e:  # no memory or process left just now: the other runners work on
            self._log.warning("runner_not_started", error=str(e))

    def _bury(self, child: Child) -> bool:
        pid = child.pid
        buried = child.buried()
        if buried is None:
            return False
        code, death = buried
        drop_abandoned(self._scratch, time.time())
        if death is not None:
            task = str(death.running.task) if death.running else None
            self._log.warning("runner_died", pid=pid, exit=code, task_id=task, error=death.error.message)
            self._registrar.tell(death)
        elif code != 0:
            self._log.warning("runner_died", pid=pid, exit=code)
        return True

    def _limit(self, child: Child) -> None:
        """Stop what runs too long, kill what does not stop or takes too much memory."""
        slot, pid = child.slot, child.pid
        if slot is None or pid is None:
            return
        running = slot.read()
        ceiling = self._settings.task_memory_mb
        used = resident_mb(pid) if ceiling else None
        if used is not None and used > ceiling:
            if running is not None:
                told = math.ceil(used)  # above the ceiling, as it was
                message = f"The task's process used {told} MiB; a task may use {ceiling} MiB (WORKER_TASK_MEMORY_MB)."
                child.kill(running.turn, OutOfMemory(message))
            elif not child.stopping and not slot.fresh:
                child.stop()  # what an earlier task left; nobody's fault, and a new process has none of it
        elif running is not None and time.monotonic() > running.deadline:
            asked = child.asked_for(running.turn)
            if asked is None:
                child.ask(running.turn)
            elif asked > self._settings.grace_seconds:
                ran, allowed = time.monotonic() - running.started, running.deadline - running.started
                message = (
                    f"The task ran for {ran:.0f} s and did not stop when asked to; it may run for {allowed:.0f} s."
                )
                child.kill(running.turn, TaskTimeout(message))

    def _wind_down(self) -> None:
        """Interruption is not failure: who does not stop in time is killed, and what it did is given back uncounted."""
        begun, grace = time.monotonic(), self._settings.grace_seconds
        for child in self._children:
            child.stop()
        self._await_ends(begun + 0.8 * grace)
        for child in self._children:
            running = child.slot.read() if child.slot else None
            child.kill(running.turn if running else 0, None)
        self._await_ends(begun + grace)
        self._registrar.finish(begun + grace)

    def _await_ends(self, deadline: float) -> None:
        while any(child.pid is not None for child in self._children) and time.monotonic() < deadline:
            for child in self._children:
                self._bury(child)
            time.sleep(0.05)


def run(settings: Settings, log: Log, *, processes: int | None, module: str = "triggers.worker") -> None:
    """Be a worker with so many runners; by default as many as the settings say, else one per core."""
    count = processes or settings.worker.processes or cores()
    Parent(settings, log, count=count, module=module).run()
