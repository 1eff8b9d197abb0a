"""A private PostgreSQL cluster in one folder: made, started, recovered and stopped by any number of processes."""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from core.errors import ConfigurationError, DatabaseUnavailable
from infrastructure.embedded import binaries, databases, identity, server_settings
from infrastructure.embedded.binaries import Installation, Report
from infrastructure.embedded.identity import Identity
from infrastructure.embedded.postmaster import Postmaster
from infrastructure.embedded.programs import Finished
from infrastructure.embedded.state import Mode, State

USER = "geomachine"
DATABASE = "geomachine"
_ROOT = Path(__file__).resolve().parents[2]
_WATCH = "infrastructure.embedded.watch"
_LOCKS = ("lock", "owners", "templates.lock")
_IN_BACKGROUND = ("/bin/sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh")
_LOG_LIMIT = 10_000_000


class Cluster:
    """PostgreSQL with PostGIS on 127.0.0.1, reached only with a generated password. Writes nothing outside its folders.

    `home` holds the data, the state and the log; `folder` is where binaries are unpacked when the machine has none.
    """

    def __init__(
        self,
        home: Path,
        folder: Path,
        mode: Mode = Mode.DURABLE,
        *,
        report: Report = lambda message: None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.absolute().resolve()
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self.mode = mode
        self._folder = folder.absolute().resolve()
        self._report = report
        self._extra = dict(settings or {})
        self._state_file = self.home / "cluster.json"
        self._settings_file = self.home / "server.conf"
        self._postmaster = Postmaster(self.data)

    def up(self, owner_pid: int | None = None, database: str = DATABASE) -> str:
        """Make, start or recover the cluster as needed and return the address of `database`, which then exists.

        Safe at any time from any number of processes. With `owner_pid` the server stops once every owner is gone,
        however they went. Raises ConfigurationError for what a person has to mend.
        """
        with self.locked("lock"):
            state = self._state_for_start()
            if not self.running():
                state = self._start(state)
            assert state is not None
            databases.await_ready(self._url(state, "postgres"), self.running)
            databases.ensure(self._url(state, "postgres"), database)
            if owner_pid is not None:
                self._watch(owner_pid)
            return self._url(state, database)

    def running(self) -> bool:
        """True while the server lives, also while it still recovers."""
        return self._postmaster.pid() is not None

    def pid(self) -> int | None:
        """The server's process number, None when it is not running."""
        return self._postmaster.pid()

    def stop(self) -> bool:
        """Stop the server; False when it was not running."""
        if State.load(self._state_file) is None:
            return False
        with self.locked("lock"):
            return self._postmaster.stop()

    def stop_unowned(self) -> bool:
        """Stop the server unless another owner still lives; for the watch of `up(owner_pid=...)`."""
        if State.load(self._state_file) is None:
            return False
        with self.locked("lock"), (self.home / "owners").open("a") as owners:
            try:
                fcntl.flock(owners, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return self._postmaster.stop()

    def conninfo(self, database: str = DATABASE) -> str:
        """The address of a database in this cluster, as a URL. Raises DatabaseUnavailable before the first `up()`."""
        state = State.load(self._state_file)
        if state is None or state.port is None:
            raise DatabaseUnavailable(f"No database was set up in {self.home} yet.", hint="Run `./geomachine up`.")
        return self._url(state, database)

    def destroy(self) -> None:
        """Stop the server and delete the folder; does nothing to a folder that is not a cluster of ours."""
        if State.load(self._state_file) is not None:
            self.stop()
            shutil.rmtree(self.home)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock in the home folder that no two processes hold at once; it ends with the process."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = (self.home / name).open("a")
        except OSError as e:
            raise ConfigurationError(
                f"The embedded database cannot use {self.home}: {e.strerror}.",
                hint="Run as the user who made it, or set GEOMACHINE_HOME to a folder of your own.",
            ) from e
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _url(self, state: State, database: str) -> str:
        return f"postgresql://{USER}:{quote(state.password)}@127.0.0.1:{state.port}/{quote(database)}"

    def _state_for_start(self) -> State | None:
        state = State.load(self._state_file)
        foreign = sorted(p.name for p in self.home.iterdir() if p.name not in _LOCKS) if state is None else []
        if foreign:
            raise ConfigurationError(
                f"{self.home} is not a database of this program: it holds {', '.join(foreign[:3])}.",
                hint="Move it away or set GEOMACHINE_HOME to another folder.",
            )
        if state is not None and state.mode is not self.mode:
            raise ConfigurationError(f"{self.home} holds a {state.mode} cluster, a {self.mode} one was asked for.")
        return state

    def _start(self, state: State | None) -> State:
        """Start what is there; a disposable cluster that does not start is made again, once."""
        try:
            return self._launch(*self._prepare(state))
        except (ConfigurationError, DatabaseUnavailable):
            if self.mode is not Mode.DISPOSABLE or not self.data.exists():
                raise
            self._report("The tests' database does not start and is made again ...")
            shutil.rmtree(self.data)
            return self._launch(*self._prepare(state))

    def _prepare(self, state: State | None) -> tuple[State, Installation, Identity]:
        """Programs, user and data: everything a start needs. A data folder is only ever seen complete."""
        installation = binaries.locate(self._folder, self._report, self._major())
        self.home.chmod(0o711)  # passable, so that the next line can ask who gets through; nothing in it is open
        runs_as = identity.choose(self.home, self.data, installation.bin / "postgres")
        if runs_as.uid == os.geteuid():
            self.home.chmod(0o700)
        if not self.data.exists():
            state = State(self.mode, secrets.token_urlsafe(24))
            state.save(self._state_file)
            self._initialise(state, installation, runs_as)
        elif self.data.stat().st_uid != runs_as.uid:
            runs_as.own_tree(self.data)
        assert state is not None
        return state, installation, runs_as

    def _major(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def _initialise(self, state: State, installation: Installation, runs_as: Identity) -> None:
        new, password = self.home / "data.new", self.home / "password.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(state.password)
        for path in (new, password):
            runs_as.own(path)
        argv = ["-U", USER, "-E", "UTF8", "--locale", databases.locale(), "--auth=scram-sha-256", "--no-instructions"]
        argv += ["--no-sync"] if self.mode is Mode.DISPOSABLE else []
        done = self._run(installation, runs_as, "initdb", "-D", new, "--pwfile", password, *argv)
        password.unlink()
        if not done.ok:
            raise ConfigurationError(f"initdb failed in {self.home}: {done.said}")
        new.rename(self.data)

    def _run(self, installation: Installation, runs_as: Identity, program: str, *argv: str | Path) -> Finished:
        return runs_as.run([installation.bin / program, *argv], environment=installation.environment, cwd=self.home)

    def _launch(self, state: State, installation: Installation, runs_as: Identity) -> State:
        self._postmaster.clear_stale()
        self._open_log(runs_as)
        said = ""
        for _ in range(20):
            port = server_settings.free_port(state.port)
            state = replace(state, port=port)
            state.save(self._state_file)  # before the start: a kill right after it must not lose the port
            server_settings.write(self._settings_file, self.data, port, self.mode, self._extra)
            offset = self.log.stat().st_size
            options = f"-c config_file={shlex.quote(str(self._settings_file))}"
            argv = ("-D", self.data, "-w", "-t", "300", "-s", "-l", self.log, "-o", options, "start")
            done = self._run(installation, runs_as, "pg_ctl", *argv)
            if done.ok:
                return state
            said = f"{done.said}\n{self._logged_since(offset)}"
            if "pre-existing shared memory block" in said:
                self._postmaster.end_orphans()
                time.sleep(0.5)
            elif "could not bind" not in said:
                break
        raise DatabaseUnavailable(f"The embedded PostgreSQL did not start: {said[-2000:]}", hint=f"See {self.log}.")

    def _open_log(self, runs_as: Identity) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.log.touch(mode=0o600)
        runs_as.own(self.log)

    def _logged_since(self, offset: int) -> str:
        with self.log.open(errors="replace") as file:
            file.seek(offset)
            return file.read()

    def _watch(self, owner_pid: int) -> None:
        """Leave a process behind that stops the server after the owner; it holds a share of the owners' lock."""
        with (self.home / "owners").open("a") as owners:
            fcntl.flock(owners, fcntl.LOCK_SH)
            subprocess.run(  # noqa: S603  our own module; the shell returns at once and leaves it to init
                [*_IN_BACKGROUND, sys.executable, "-m", _WATCH, str(self.home), str(owner_pid), str(owners.fileno())],
                env={"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                pass_fds=[owners.fileno()],
                start_new_session=True,
                cwd="/",
                check=True,
            )
