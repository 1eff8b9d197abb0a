"""How does a broker hear of open work? The rows of `app.queue` are its outbox.

The rule: a row that nobody holds and whose `dispatched_at` is null is sent, in batches, after the commit that left it
so, and marked in the transaction that holds it. Whatever gives a row back (retry, release, lost lease) makes
`dispatched_at` null again. A send that fails leaves the row as it was. A message sent twice does nothing twice: its
claim finds no row.
"""

from __future__ import annotations

import threading
from typing import Protocol

from core.errors import GeomachineError


class Dispatcher(Protocol):
    """Hands open work to a broker."""

    def dispatch(self) -> int:
        """Send what is open and unsent, and what was sent long ago and is still open; how many.

        Any number of processes may do so at once. Raises QueueUnavailable when something could not be sent.
        """
        ...


class Warnings(Protocol):
    """Where a failed round is told."""

    def warning(self, event: str, **fields: object) -> object:
        """Something that will be tried again."""
        ...


class Courier:
    """A thread that dispatches when told to, so that no request and no task waits for the broker.

    What it cannot send, it tries again after `pause` seconds; what dies with the process, a timer sends.
    """

    def __init__(self, dispatcher: Dispatcher, log: Warnings, *, pause: float = 5.0) -> None:
        self._dispatcher = dispatcher
        self._log = log
        self._pause = pause
        self._called = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self) -> None:
        """Dispatch soon; calls that come while a round runs make one more round."""
        self._called.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 5.0) -> None:
        """Finish the round that was asked for, at most for some seconds."""
        self._closing.set()
        self._called.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._called.wait()
            self._called.clear()
            try:
                self._dispatcher.dispatch()
            except GeomachineError as e:
                self._log.warning("dispatch_waits", code=e.code, error=e.message)
                self._called.set()
                if self._closing.wait(self._pause):
                    return
            if self._closing.is_set() and not self._called.is_set():
                return
