"""One runner as its parent sees it: started, watched, asked, killed, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

from core.errors import ResourceError
from core.machine.slot import SIZE, Slot
from triggers.worker.deaths import Death, Sentence, judge

ROOT = Path(__file__).resolve().parents[2]
_YOUNG = 10.0  #: seconds; who dies younger is started again later each time
_LONGEST_PAUSE = 30.0


class Child:
    """A runner process that is kept alive."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self.slot: Slot | None = None
        self.restarts = -1
        self.stopping = False
        self._module = module
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._sentence: Sentence | None = None
        self._asked: tuple[int, float] | None = None  #: the overdue turn, and when it was asked to stop
        self._started = 0.0
        self._young = 0
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """The living process."""
        return self._process.pid if self._process else None

    def start_if_due(self) -> None:
        """Start it unless it lives, or died too young a moment ago. Raises OSError, and may be called again."""
        now = time.monotonic()
        if self._process is not None or now < self._not_before:
            return
        with _page() as file:
            file.truncate(SIZE)
            slot = Slot.of_file(file.fileno())
            arguments = ["--slot", str(file.fileno()), "--parent", str(os.getpid())]
            self._not_before = now + _LONGEST_PAUSE
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", self._module, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[file.fileno()],
            )
        self.slot = slot
        self._sentence, self._asked, self.stopping = None, None, False
        self._started = now
        self.restarts += 1

    def buried(self) -> tuple[int, Death | None] | None:
        """None while it lives; else, once, its exit code and what the database has to know."""
        if self._process is None or self.slot is None or (code := self._process.poll()) is None:
            return None
        worker, running = self.slot.worker, self.slot.read()
        peaceful = self.stopping and running is None and code in (0, -signal.SIGTERM)
        self._process, self.slot = None, None
        now = time.monotonic()
        self._young = self._young + 1 if now - self._started < _YOUNG and not peaceful else 0
        self._not_before = now + min(2.0 ** (self._young - 1) / 4, _LONGEST_PAUSE) if self._young else now
        if worker is None or peaceful:
            return code, None
        return code, judge(worker, running, code, self._sentence)

    def stop(self) -> None:
        """Ask it to end."""
        self.stopping = True
        self._send(signal.SIGTERM)

    def asked_for(self, turn: int) -> float | None:
        """Seconds since the handler of this turn was asked to stop; None when it was not."""
        return time.monotonic() - self._asked[1] if self._asked and self._asked[0] == turn else None

    def ask(self, turn: int) -> None:
        """Ask only the handler of this turn to stop."""
        self._asked = (turn, time.monotonic())
        self._send(signal.SIGUSR1)

    def kill(self, turn: int, error: ResourceError | None) -> None:
        """End it now, for what the item of this turn did."""
        if self._sentence is None:
            self._sentence = Sentence(turn, error)
            self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _page() -> BinaryIO:
    """A file without a name; in memory where possible, since on a full disk a write to the page kills its writer."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("geomachine-slot"), "r+b")
    return cast("BinaryIO", tempfile.TemporaryFile())  # closed by the caller
