"""Keeping a local system up: one database, one service, one worker, restarted when they die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from config import inherited
from core.errors import ConfigurationError
from infrastructure.postgres import schema
from triggers.cli.instance import ROOT, Instance, Running

_GRACE = 15.0
_LOCAL_LEASE = "15"  #: seconds: a killed worker's task is taken over soon
_LOCAL_WORKER_GRACE = 10.0


@dataclass
class Child:
    """A process to keep alive."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    not_before: float = 0.0
    started_at: float = field(default=0.0)

    def start(self) -> None:
        """Start it, its output going to its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
            )
        self.started_at = time.monotonic()

    def keep(self) -> None:
        """Restart it when it died, later each time it dies young."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self.failures = self.failures + 1 if now - self.started_at < 30 else 0
            self.not_before = now + min(2.0**self.failures / 4, 30.0)
            self.process = None
        if now >= self.not_before:
            self.start()

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait for its end, and force it at the deadline."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run(instance: Instance, *, port: int | None, workers: int) -> None:
    """Run a local system until SIGTERM or SIGINT, then stop all of it."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    instance.supervise()
    instance.logs.mkdir(parents=True, exist_ok=True)
    url = instance.database_url()
    try:
        schema.ensure(url)
        running = Running(os.getpid(), _port(instance, port), workers)
        children = _children(instance, url, running)
        instance.announce(running)
        _watch(children, stopping, grace(instance))
    finally:
        if instance.settings.database.embedded:
            instance.cluster().stop()


def _watch(children: list[Child], stopping: threading.Event, grace: float) -> None:
    try:
        while not stopping.is_set():
            for child in children:
                child.keep()
            stopping.wait(0.25)
    finally:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + grace
        for child in children:
            child.wait(deadline)


def _children(instance: Instance, url: str, running: Running) -> list[Child]:
    # Who names a server names it to the children too: their tokens are their own.
    database = {"DATABASE_URL": url} if instance.settings.database.embedded else {}
    environment = inherited(
        **database,
        GEOMACHINE_HOME=str(instance.home),
        GEOMACHINE_PORT=str(running.port),
        GEOMACHINE_KEY=instance.key(),
        PYTHONPATH=str(ROOT),
    )
    environment.setdefault("TASK_LEASE_SECONDS", _LOCAL_LEASE)
    environment.setdefault("APPROVAL_ALLOW_SELF", "true")  # one key does everything here
    environment.setdefault("WEBHOOK_SECRET", instance.key())
    environment["WORKER_GRACE_SECONDS"] = str(_worker_grace(instance))
    commands = {"serve": ["serve"], "worker": ["worker", "--processes", str(running.workers)]}
    return [
        Child(
            name,
            [sys.executable, "-m", "triggers.cli", *command, "--parent", str(running.pid)],
            environment,
            instance.logs / f"{name}.log",
        )
        for name, command in commands.items()
    ]


def _worker_grace(instance: Instance) -> float:
    worker = instance.settings.worker
    return worker.grace_seconds if "grace_seconds" in worker.model_fields_set else _LOCAL_WORKER_GRACE


def grace(instance: Instance) -> float:
    """Seconds that the processes of a local system get to stop, the worker with something to spare."""
    return max(_GRACE, _worker_grace(instance) + 3)


def _port(instance: Instance, asked: int | None) -> int:
    """The asked port, or the configured one; only the default gives way to the next free one."""
    server = instance.settings.server
    wanted = asked or server.port
    if _free(wanted):
        return wanted
    if asked is None and "port" not in server.model_fields_set:
        for candidate in range(wanted + 1, wanted + 100):
            if _free(candidate):
                return candidate
    raise ConfigurationError(f"Port {wanted} is in use.", hint="Give another with --port or GEOMACHINE_PORT.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start_detached(instance: Instance, *, port: int | None, workers: int) -> subprocess.Popen[bytes]:
    """Start a supervisor that outlives this command and its terminal."""
    instance.logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "triggers.cli", "up", "--workers", str(workers)]
    if port is not None:
        command += ["--port", str(port)]
    environment = inherited(GEOMACHINE_HOME=str(instance.home), PYTHONPATH=str(ROOT))
    with (instance.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=ROOT
        )


def end_with(parent: int) -> None:
    """End this process soon after the supervisor that started it is gone, however it went."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
