"""Is the server of a data folder alive? A pid file alone does not tell: pids are reused, above all in containers."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from core.errors import DatabaseUnavailable
from infrastructure.embedded import programs

_SHARED_MEMORY = Path("/proc/sysvipc/shm")


class Postmaster:
    """The main process of the server that owns a data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def pid(self) -> int | None:
        """The process number while it lives, else None."""
        noted = self._noted()
        return noted if noted and programs.alive(noted) and self._is_ours(noted) else None

    def stop(self) -> bool:
        """End it: sessions are broken off and data is flushed. False when it was not running."""
        pid = self.pid()
        if pid is None:
            return False
        for number, seconds in ((signal.SIGINT, 60), (signal.SIGQUIT, 20)):
            _signal(pid, number)
            if self._wait(seconds):
                return True
        raise DatabaseUnavailable(f"The embedded PostgreSQL (process {pid}) does not stop.", hint=f"See {self._data}.")

    def clear_stale(self) -> None:
        """Remove a pid file whose number now belongs to someone else; PostgreSQL itself would refuse to start.

        A number that nobody has is left to PostgreSQL, whose own check also sees surviving child processes.
        """
        noted = self._noted()
        if noted is None or not programs.alive(noted) or self._is_ours(noted):
            return
        deadline = time.monotonic() + 20
        while self._shared_memory_in_use():
            self.end_orphans()
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"Processes of a killed PostgreSQL still use {self._data}.")
            time.sleep(0.1)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def end_orphans(self) -> None:
        """End the processes of a postmaster that was killed: one that is busy does not notice for minutes."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == self._data:
                    _signal(int(process.name), signal.SIGQUIT)

    def _lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _noted(self) -> int | None:
        lines = self._lines()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def _is_ours(self, pid: int) -> bool:
        command = _command(pid)
        if str(self._data) in command:
            return True
        try:  # the folder may have been renamed since the start; the working folder follows that
            return bool(command) and Path(f"/proc/{pid}/cwd").readlink() == self._data
        except OSError:
            return False

    def _shared_memory_in_use(self) -> bool:
        lines = self._lines()
        ids = lines[6].split() if len(lines) > 6 else []
        if len(ids) != 2 or not _SHARED_MEMORY.exists():
            return False
        rows = [row.split() for row in _SHARED_MEMORY.read_text().splitlines()[1:]]
        return any(row[1] == ids[1] and int(row[6]) > 0 for row in rows)

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _command(pid: int) -> list[str]:
    """The arguments of a process; none for one that has ended but was not yet collected."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        answer = programs.run(["ps", "-o", "command=", "-p", str(pid)], timeout=20)
        return answer.output.split()
