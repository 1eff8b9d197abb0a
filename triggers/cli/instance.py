"""Where does a local system live, and is it running? Everything is under its home directory."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import config
from config import Settings
from core.errors import ConfigurationError, Conflict
from infrastructure.embedded.cluster import Cluster
from infrastructure.postgres.login import conninfo_now

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Running:
    """What a running supervisor tells others."""

    pid: int
    port: int
    workers: int

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://127.0.0.1:{self.port}"


class Instance:
    """One local system. Two homes are two systems."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or config.load()
        self.home = self.settings.app.home

    @property
    def logs(self) -> Path:
        """Where processes write what they have to say."""
        return self.home / "logs"

    def cluster(self) -> Cluster:
        """The embedded database of this home. Its binaries are shared by every home of the checkout."""
        return Cluster(self.home / "database", ROOT / ".local" / "postgresql")

    def database_url(self) -> str:
        """The database to use: the configured one, else the embedded one, started if need be."""
        database = self.settings.database
        return self.cluster().up() if database.embedded else conninfo_now(database)

    def key(self) -> str:
        """The admin key: the configured one, else one made for this home on first use."""
        configured = self.settings.server.admin_key
        if configured is not None:
            return configured.get_secret_value()
        path = self._private("admin.key")
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return path.read_text(encoding="ascii").strip()
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            made = f"gm_{secrets.token_urlsafe(32)}"
            file.write(made)
        return made

    def supervisor_lives(self) -> bool:
        """True while a supervisor has this home. A lock that dies with its process tells; no pid is trusted."""
        with self._private("supervisor.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def supervisor_pid(self) -> int | None:
        """The live supervisor, which may still be starting; None while there is none."""
        said = self._private("supervisor.lock").read_text(encoding="ascii") if self.supervisor_lives() else ""
        return int(said) if said else None

    def running(self) -> Running | None:
        """What the live supervisor announced; None while there is none or it is still starting."""
        return self._state() if self.supervisor_lives() else None

    def supervise(self) -> None:
        """Be the one supervisor of this home until this process ends. Raises Conflict when there is one."""
        # Never closed: who waits for the lock waits for the end of the process.
        lock = os.open(self._private("supervisor.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        for attempt in range(20):  # someone who only looks holds the lock for an instant
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 19:
                    hint = "See ./geomachine status."
                    raise Conflict(f"The system of {self.home} is running already.", hint=hint) from None
                time.sleep(0.05)
        self._private("supervisor.json").unlink(missing_ok=True)  # a killed one left it
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())

    def announce(self, running: Running) -> None:
        """Tell others where the service will answer."""
        path = self._private("supervisor.json")
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(running)), encoding="utf-8")
        fresh.replace(path)

    def _state(self) -> Running | None:
        try:
            return Running(**json.loads(self._private("supervisor.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # the supervisor holds the lock but is still starting

    def _private(self, name: str) -> Path:
        folder = self.home / "run"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as e:
            raise ConfigurationError(
                f"{folder} cannot be made: {e.strerror}.", hint="Set GEOMACHINE_HOME to a folder that you may write to."
            ) from None
        return folder / name
