"""The local clock: runs the timers of `triggers.timers` where no Azure Functions host does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.errors import GeomachineError
from core.machine.machine import Log
from triggers.clock import following
from triggers.timers import Timer, check_schedules, timers

if TYPE_CHECKING:
    from composition import Runtime


class Scheduler:
    """A thread that fires each timer when it is due."""

    def __init__(self, get_runtime: Callable[[], Runtime], log: Log) -> None:
        self._get_runtime = get_runtime
        self._log = log
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def __enter__(self) -> Scheduler:
        """Raises ConfigurationError for a schedule that is none."""
        check_schedules()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(5)

    def _run(self) -> None:
        clock = timers(self._get_runtime().settings.queue.transport)
        due = {timer.name: _next(timer, datetime.now(UTC)) for timer in clock}
        while True:
            now = datetime.now(UTC)
            for timer in clock:
                if due[timer.name] <= now:
                    due[timer.name] = _next(timer, now)
                    self._fire(timer)
            wait = min(due.values()) - datetime.now(UTC)
            if self._closing.wait(max(wait.total_seconds(), 0.05)):
                return

    def _fire(self, timer: Timer) -> None:
        try:
            done = timer.run(self._get_runtime())
        except GeomachineError as e:
            self._log.warning("timer_failed", timer=timer.name, code=e.code, error=e.message)
        except Exception as e:  # the edge of the trigger: one timer's defect must not stop the others
            self._log.warning("timer_failed", timer=timer.name, code=GeomachineError.code, error=str(e), exc_info=True)
        else:
            if done:
                self._log.info("timer_ran", timer=timer.name, done=done)


def _next(timer: Timer, after: datetime) -> datetime:
    return following(timer.due(), after)
