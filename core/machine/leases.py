"""How does a worker keep what it has claimed? A thread renews the leases while handlers are busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import TransientError
from core.machine.store import Claimed, JobStore

_MOST_BETWEEN = 5.0  #: seconds: a renewal that finds no row is also how a handler learns that its job was cancelled


class LeaseKeeper:
    """Renews every held lease at least three times per lease; tells an attempt to stop when its lease is gone."""

    def __init__(self, store: JobStore, worker: str, lease: float) -> None:
        self._store = store
        self._worker = worker
        self._lease = lease
        self._lock = threading.RLock()  # reentrant: a signal may call `stop_all` in the midst of `holding`
        self._held: dict[int, tuple[Claimed, threading.Event]] = {}
        self._stopping = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    @contextmanager
    def holding(self, claimed: Claimed) -> Iterator[threading.Event]:
        """Keep the lease while inside; the event is set when the attempt must stop."""
        stop = threading.Event()
        with self._lock:
            self._held[claimed.queue_id] = (claimed, stop)
            if self._stopping:
                stop.set()
        try:
            yield stop
        finally:
            with self._lock:
                self._held.pop(claimed.queue_id, None)

    def stop_all(self) -> None:
        """Tell every running attempt, and every later one, to stop at its next checkpoint."""
        with self._lock:
            self._stopping = True
            for _, stop in self._held.values():
                stop.set()

    def renew(self) -> None:
        """Extend what is held now."""
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        alive = self._store.renew(self._worker, [claimed for claimed, _ in held.values()], self._lease)
        for queue_id, (_, stop) in held.items():
            if queue_id not in alive:
                stop.set()

    def _run(self) -> None:
        while not self._closing.wait(min(self._lease / 3, _MOST_BETWEEN)):
            try:
                self.renew()
            except TransientError:
                continue  # the next round comes well before the lease ends
