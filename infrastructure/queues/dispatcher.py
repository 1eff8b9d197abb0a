"""Open work into Service Bus; the rule is in `core.machine.dispatch`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import groupby

from core.errors import QueueUnavailable
from core.machine.messages import Letter
from infrastructure.postgres.mail import PostgresMail
from infrastructure.queues.sender import Sender

_BATCH = 500  #: letters held in one transaction; about one batch of Service Bus


class ServiceBusDispatcher:
    """A Dispatcher. Calls from several threads take turns."""

    def __init__(self, mail: PostgresMail, sender: Sender, *, resend_seconds: float) -> None:
        self._mail = mail
        self._sender = sender
        self._resend = resend_seconds
        self._lock = threading.Lock()

    def dispatch(self) -> int:
        """Send what is due. A queue that fails does not keep the others waiting."""
        with self._lock:
            return self._dispatch()

    def _dispatch(self) -> int:
        count = 0
        failures: dict[str, QueueUnavailable] = {}

        def send(letters: Sequence[Letter]) -> Iterator[int]:
            for queue, group in groupby(sorted(letters, key=_queue), key=_queue):
                try:
                    yield from self._sender.send(queue, list(group))
                except QueueUnavailable as e:
                    failures[queue] = e
                    return  # the others go in a transaction of their own: rows are not held through several time-outs

        after = 0
        while True:
            failed = len(failures)
            batch = self._mail.send(_BATCH, self._resend, list(failures), after, send)
            count += batch.accepted
            if len(failures) > failed:
                continue  # once more from here, without the queue that failed
            if batch.found < _BATCH:
                break
            after = batch.last
        if failures:
            raise next(iter(failures.values()))
        return count

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            self._sender.close()


def _queue(letter: Letter) -> str:
    return letter.queue
