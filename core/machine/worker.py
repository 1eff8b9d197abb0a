"""The worker loop: complete what is done, claim what is due, run it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from core.contracts.outcomes import Done, Outcome
from core.errors import TransientError
from core.machine.leases import LeaseKeeper
from core.machine.machine import CoreMachine, Log, milliseconds_since
from core.machine.store import Claimed, Finished

_FLUSH_AFTER = 0.25  #: seconds after which finished light tasks are committed though more are waiting
_SWEEP_EVERY = 5.0


class Pace:
    """How many light tasks to claim at once: what fits into a quarter of a second, so that no worker hoards work."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seconds = 0.0

    def ran(self, seconds: float) -> None:
        """Learn from one task."""
        self._seconds += (seconds - self._seconds) / 8

    @property
    def batch(self) -> int:
        """At least 1, at most what the settings allow."""
        return max(1, min(self._most, int(_FLUSH_AFTER / max(self._seconds, 1e-6))))


class Worker:
    """Runs until told to stop. One process, one task at a time; light tasks are claimed and committed in batches."""

    def __init__(
        self,
        machine: CoreMachine,
        queues: Sequence[str],
        *,
        batch: int,
        poll: float,
        wait: Callable[[float], None],
        log: Log,
    ) -> None:
        self._machine = machine
        self._queues = list(queues)
        self._pace = Pace(batch)
        self._poll = poll
        self._wait = wait
        self._log = log
        self._stopping = threading.Event()
        self._leases = LeaseKeeper(machine.store, machine.worker, machine.lease)
        self._done: list[Finished] = []
        self._held = ExitStack()  #: leases of finished heavy tasks, until they are committed
        self._in_doubt = False
        self._swept_at = 0.0

    def stop(self) -> None:
        """Claim nothing more and ask running handlers to stop. Safe in a signal handler."""
        self._stopping.set()
        self._leases.stop_all()

    def run(self) -> None:
        """Work until `stop`."""
        self._log.info("worker_started", worker=self._machine.worker, queues=self._queues)
        with self._leases:
            while not self._stopping.is_set():
                try:
                    self._cycle()
                except TransientError as e:
                    self._in_doubt = True
                    self._log.warning("worker_waits", code=e.code, error=e.message)
                    self._stopping.wait(self._poll)
            self._flush_at_exit()
        self._log.info("worker_stopped", worker=self._machine.worker)

    def _cycle(self) -> None:
        if self._in_doubt:
            # An answer was lost on the way, and with it perhaps the claims it carried.
            self._machine.store.release_unknown(self._machine.worker, [f.claimed for f in self._done])
            self._in_doubt = False
        self._sweep_if_due()
        claimed = self._take(self._pace.batch)
        if claimed:
            self._run_all(claimed)
        else:
            self._wait(self._poll)

    def _take(self, limit: int) -> list[Claimed]:
        """Commit what is done, advance the jobs that this finishes a stage of, claim up to `limit` tasks."""
        claimed = self._step(limit)
        while advances := [item for item in claimed if item.is_advance]:
            tasks = [item for item in claimed if not item.is_advance]
            # With nothing else at hand, what the advance makes is claimed in its own transaction.
            claimed = tasks + self._machine.advance(advances, self._queues, 0 if tasks else limit)
        return claimed

    def _step(self, limit: int) -> list[Claimed]:
        claimed = self._machine.step(self._queues, limit, self._done)
        self._done = []
        self._held.close()
        return claimed

    def _run_all(self, tasks: list[Claimed]) -> None:
        flushed = time.monotonic()
        for position, item in enumerate(tasks):
            if self._stopping.is_set():
                for unstarted in tasks[position:]:
                    self._machine.store.release(self._machine.worker, unstarted)
                return
            self._run_one(item)
            if self._done and time.monotonic() - flushed > _FLUSH_AFTER:
                self._take(0)
                flushed = time.monotonic()

    def _run_one(self, item: Claimed) -> None:
        started = time.monotonic()
        with ExitStack() as held:
            stop = held.enter_context(self._leases.holding(item))
            outcome = self._machine.run(item, stop)
            duration = milliseconds_since(started)
            if isinstance(outcome, Done) and not outcome.effects:
                self._done.append(Finished(item, outcome.output_json, duration))
                if item.heavy:
                    self._held.push(held.pop_all())
            else:
                self._settle(item, outcome, duration, stop)
        if not item.heavy:
            self._pace.ran(time.monotonic() - started)

    def _settle(self, item: Claimed, outcome: Outcome, duration: int, lost: threading.Event) -> None:
        """Write the end of an attempt, through an outage of the database too: hours of work may hang on it."""
        while True:
            try:
                self._machine.settle(item, outcome, duration)
                return
            except TransientError as e:
                self._in_doubt = True
                self._log.warning("settling_waits", **item.log_ids, code=e.code, error=e.message)
                if lost.wait(self._poll):
                    raise

    def _sweep_if_due(self) -> None:
        now = time.monotonic()
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            self._machine.sweep()

    def _flush_at_exit(self) -> None:
        try:
            self._take(0)
        except TransientError as e:
            self._log.warning("worker_lost_commits", count=len(self._done), error=e.message)
