"""The worker loop: complete what is done, claim what is due, run it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from core.contracts.outcomes import Done, Outcome
from core.errors import TransientError
from core.machine.leases import LeaseKeeper
from core.machine.machine import CoreMachine, Log, milliseconds_since
from core.machine.store import Claimed, Finished

_FLUSH_AFTER = 0.25  #: seconds after which finished light tasks are committed though more are waiting
_SWEEP_EVERY = 5.0


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
        self._batch = batch
        self._poll = poll
        self._wait = wait
        self._log = log
        self._stopping = threading.Event()
        self._leases = LeaseKeeper(machine.store, machine.worker, machine.lease)
        self._done: list[Finished] = []
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
                    self._log.warning("worker_waits", code=e.code, error=e.message)
                    self._stopping.wait(self._poll)
            self._flush_at_exit()
        self._log.info("worker_stopped", worker=self._machine.worker)

    def _cycle(self) -> None:
        self._sweep_if_due()
        claimed = self._step(self._batch)
        for item in claimed:
            if item.is_advance:
                self._machine.advance(item)
        tasks = [item for item in claimed if not item.is_advance]
        if not claimed:
            self._wait(self._poll)
        self._run_all(tasks)

    def _step(self, limit: int) -> list[Claimed]:
        done = sorted(self._done, key=lambda f: f.claimed.queue_id)
        try:
            claimed = self._machine.store.step(self._machine.worker, self._queues, limit, self._machine.lease, done)
        except TransientError:
            raise
        except Exception:  # one output the database refuses must not fail its neighbours: settle each alone
            claimed = []
            for finished in done:
                self._machine.settle(finished.claimed, Done(finished.output), finished.duration)
        self._done = []
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
                for more in self._step(0):  # nothing is claimed: these are advances of stages just finished
                    self._machine.advance(more)
                flushed = time.monotonic()

    def _run_one(self, item: Claimed) -> None:
        started = time.monotonic()
        with self._leases.holding(item) as stop:
            outcome = self._machine.run(item, stop)
            duration = milliseconds_since(started)
            if isinstance(outcome, Done) and not outcome.effects and not item.heavy:
                self._done.append(Finished(item, outcome.output_json, duration))
            else:
                self._settle(item, outcome, duration, stop)

    def _settle(self, item: Claimed, outcome: Outcome, duration: int, lost: threading.Event) -> None:
        """Write the end of an attempt, through an outage of the database too: hours of work may hang on it."""
        while True:
            try:
                self._machine.settle(item, outcome, duration)
                return
            except TransientError as e:
                self._log.warning("settling_waits", task_id=str(item.task_id), code=e.code, error=e.message)
                if lost.wait(self._poll):
                    raise

    def _sweep_if_due(self) -> None:
        now = time.monotonic()
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            self._machine.sweep()

    def _flush_at_exit(self) -> None:
        try:
            for item in self._step(0):
                self._machine.advance(item)
        except TransientError as e:
            self._log.warning("worker_lost_commits", count=len(self._done), error=e.message)
