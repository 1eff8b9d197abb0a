"""Bringing the local system up, and finding the API to talk to."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from rich.console import Console

import config
from clients.python.geomachine_client import Client
from core.contracts.storage import ObjectStorage
from core.errors import ConfigurationError
from infrastructure import storage
from triggers.cli import supervisor
from triggers.cli.instance import Instance, Running

_PREPARE_SECONDS = 900.0  #: the first start may have to fetch PostgreSQL
_START_SECONDS = 120.0  #: the service, once the database is there
WORKERS = 2


def connect(instance: Instance) -> Client:
    """The API of GEOMACHINE_URL, else of this home's running system. Raises ConfigurationError when there is none."""
    remote = instance.settings.client.url
    if remote is not None:
        if instance.settings.server.admin_key is None:
            raise ConfigurationError("GEOMACHINE_URL is set but GEOMACHINE_KEY is not.")
        return Client(remote, instance.key())
    running = instance.running()
    if running is None:
        raise ConfigurationError("No system is running here.", hint="Start it with ./geomachine up --detach.")
    return Client(running.url, instance.key())


def ensure_up(instance: Instance, console: Console, *, port: int | None = None, workers: int = WORKERS) -> Running:
    """The running system of this home, started in the background when it is down. Raises ConfigurationError."""
    log = instance.logs / "supervisor.log"
    begin = log.stat().st_size if log.exists() else 0
    started = None
    if not instance.supervisor_lives():
        started = supervisor.start_detached(instance, port=port, workers=workers)
    ends = time.monotonic() + _PREPARE_SECONDS
    with console.status("Bringing the system up"):
        while time.monotonic() < ends:
            running = instance.running()
            if running is not None:
                ends = min(ends, time.monotonic() + _START_SECONDS)
                with Client(running.url, instance.key(), timeout=5) as client:
                    if client.ready():
                        return running
            elif (started is None or started.poll() is not None) and not instance.supervisor_lives():
                break
            time.sleep(0.2)
    supervisor_said = _tail(log, begin)
    service_said = _tail(instance.logs / "serve.log", 0)
    raise ConfigurationError(
        f"The system did not come up. {log} ends:\n{supervisor_said}\nserve.log ends:\n{service_said}",
        hint="./geomachine doctor says what is missing.",
    )


def _tail(log: Path, begin: int, length: int = 1500) -> str:
    if not log.exists():
        return "(nothing)"
    return log.read_bytes()[begin:][-length:].decode(errors="replace").strip()


def bronze(settings: config.Settings) -> ObjectStorage:
    """The storage that uploads go to."""
    return storage.from_settings(settings.storage, settings.app.home)


def stop(instance: Instance) -> bool:
    """Stop the supervisor, its children and the embedded database; False when nothing ran."""
    pid = instance.supervisor_pid()
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        ends = time.monotonic() + supervisor.grace(instance) + 25
        while instance.supervisor_lives() and time.monotonic() < ends:
            time.sleep(0.1)
    database = instance.settings.database.embedded and instance.cluster().stop()
    return pid is not None or database
