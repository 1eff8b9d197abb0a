"""The worker loop over a broker: a message names an item, its row is claimed, it runs, commits, the message is settled.

The row decides everything. A message settled too late, twice or never costs at most a claim that finds nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import Protocol

from core.contracts.outcomes import Done, Outcome
from core.errors import InvalidRequest, TransientError
from core.machine import messages
from core.machine.identity import TaskId
from core.machine.leases import LeaseKeeper
from core.machine.machine import CoreMachine, Log, milliseconds_since
from core.machine.store import Claimed, Finished
from core.machine.worker import Pace

_SWEEP_EVERY = 5.0
_PAUSE = 2.0  #: between two looks for a database that is away
NOT_OURS = "NotAGeomachineMessage"  #: why a foreign message is dead-lettered


class Fate(StrEnum):
    """Why a message leads to no claim. None of these is an error, and the message has done its work."""

    HELD = "held"  #: an attempt is under way
    DONE = "done"  #: finished, failed or cancelled
    UNKNOWN = "unknown"  #: no such item
    EARLY = "early"  #: not due yet; it will be sent again
    DEFERRED = "deferred"  #: a second heavy one, given back to be sent to others
    ELSEWHERE = "elsewhere"  #: moved to a queue that this process does not serve
    BUSY = "busy"  #: somebody writes the row just now: ask again


class Delivery(Protocol):
    """A message received and not yet settled. A lock lost meanwhile is no error; the others raise QueueUnavailable."""

    @property
    def body(self) -> str:
        """What was sent."""
        ...

    def complete(self) -> None:
        """It is dealt with."""
        ...

    def abandon(self) -> None:
        """Somebody else may have it, at once."""
        ...

    def dead_letter(self, reason: str, detail: str) -> None:
        """It can never be dealt with."""
        ...


class Receiver(Protocol):
    """The broker's queues this worker serves, the most urgent first."""

    def receive(self, most: int, wait: float) -> Sequence[Delivery]:
        """Up to `most` messages of one queue, as soon as there is one; none after `wait` seconds."""
        ...

    def close(self) -> None:
        """Give up what was received and not settled."""
        ...


class Mail(Protocol):
    """What messages name, in the database."""

    def claim(self, worker: str, queues: Sequence[str], tasks: Sequence[TaskId], lease: float) -> list[Claimed | Fate]:
        """Lease the items that are in one of these queues, in this order; of heavy ones at most one."""
        ...


class Desk:
    """From message bodies to claims."""

    def __init__(self, machine: CoreMachine, mail: Mail, queues: Sequence[str]) -> None:
        self._machine = machine
        self._mail = mail
        self._queues = list(queues)

    def claim(self, tasks: Sequence[TaskId]) -> list[Claimed | Fate]:
        """Lease what the messages name; nobody else's lock makes one of them unknown."""
        found = self._claim(tasks)
        for x, fate in enumerate(found):
            if fate is Fate.BUSY:
                [found[x]] = self._claim([tasks[x]])
        return found

    def _claim_patiently(self, tasks: Sequence[TaskId], ends: float) -> list[Claimed | Fate]:
        while True:
            try:
                return self.claim(tasks)
            except TransientError:
                if time.monotonic() + _PAUSE > ends:
                    raise
                time.sleep(_PAUSE)

    def _claim(self, tasks: Sequence[TaskId]) -> list[Claimed | Fate]:
        return self._mail.claim(self._machine.worker, self._queues, tasks, self._machine.lease)

    def handle(self, body: str, *, patience: float = 0.0) -> bool:
        """Process one message to its end; False when it leads to nothing. Raises InvalidRequest for a foreign one.

        The database is waited for `patience` seconds: a message sent back meanwhile only uses its deliveries up.
        """
        [claimed] = self._claim_patiently([messages.read(body)], time.monotonic() + patience)
        if isinstance(claimed, Fate):
            return False
        keeper = LeaseKeeper(self._machine.store, self._machine.worker, self._machine.lease)
        with keeper as leases, leases.holding(claimed) as stop:
            self._machine.process(claimed, stop)
        return True


class BrokerWorker:
    """Runs until told to stop. One process, one task at a time; light tasks come and are committed in small batches."""

    def __init__(
        self,
        machine: CoreMachine,
        desk: Desk,
        connect: Callable[[], Receiver],
        *,
        batch: int,
        poll: float,
        log: Log,
    ) -> None:
        self._machine = machine
        self._desk = desk
        self._connect = connect
        self._pace = Pace(batch)
        self._poll = poll
        self._log = log
        self._stopping = threading.Event()
        self._leases = LeaseKeeper(machine.store, machine.worker, machine.lease)
        self._take = 1
        self._in_doubt = False
        self._swept_at = 0.0

    def stop(self) -> None:
        """Receive nothing more and ask running handlers to stop. Safe in a signal handler."""
        self._stopping.set()
        self._leases.stop_all()

    def run(self) -> None:
        """Work until `stop`."""
        self._log.info("worker_started", worker=self._machine.worker, transport="broker")
        receiver = self._connect()
        try:
            with self._leases:
                while not self._stopping.is_set():
                    self._cycle(receiver)
        finally:
            receiver.close()
        self._log.info("worker_stopped", worker=self._machine.worker)

    def _cycle(self, receiver: Receiver) -> None:
        try:
            self._resolve_doubt()
            self._sweep_if_due()
            received = receiver.receive(min(self._take, self._pace.batch), self._poll)
        except TransientError as e:
            self._wait("worker_waits", e)
            return
        self._handle([d for d in received if self._is_ours(d)])

    def _is_ours(self, delivery: Delivery) -> bool:
        try:
            messages.read(delivery.body)
        except InvalidRequest as e:
            self._settle_message(partial(delivery.dead_letter, NOT_OURS, e.message))
            return False
        return True

    def _handle(self, received: Sequence[Delivery]) -> None:
        """While the database is away messages wait under their locks: sent back, they would use their deliveries up."""
        claims: list[Claimed | Fate] = []
        while received and not claims:
            if self._stopping.is_set():
                for delivery in received:
                    self._settle_message(delivery.abandon)
                return
            try:
                self._resolve_doubt()
                claims = self._desk.claim([messages.read(d.body) for d in received])
            except TransientError as e:
                self._wait("claiming_waits", e)
        held = [(c, d) for c, d in zip(claims, received, strict=True) if isinstance(c, Claimed)]
        self._adapt(claims)
        for fate, delivery in zip(claims, received, strict=True):
            if isinstance(fate, Fate):
                self._settle_message(delivery.complete)
        if Fate.DEFERRED in claims:
            self._machine.announce()
        with ExitStack() as leases:
            stops = {c.queue_id: leases.enter_context(self._leases.holding(c)) for c, _ in held}
            self._advance([c for c, _ in held if c.is_advance])
            self._commit([f for c, _ in held if not c.heavy and (f := self._run_one(c, stops[c.queue_id]))])
            for claimed, delivery in sorted(held, key=lambda pair: pair[0].heavy):
                if claimed.heavy:
                    self._run_one(claimed, stops[claimed.queue_id])
                self._settle_message(delivery.complete)

    def _adapt(self, claims: Sequence[Claimed | Fate]) -> None:
        """Take more at once while what comes is light: a heavy or slow one must not keep its neighbours waiting."""
        heavy = any(c is Fate.DEFERRED or (isinstance(c, Claimed) and c.heavy) for c in claims)
        if heavy:
            self._take = 1
        elif len(claims) == self._take:
            self._take = min(self._take * 2, self._pace.batch)

    def _advance(self, items: Sequence[Claimed]) -> None:
        if self._stopping.is_set():
            for item in items:
                self._persist(partial(self._give_back, item), self._stopping)
        else:
            self._persist(partial(self._machine.advance, items), self._stopping)

    def _run_one(self, item: Claimed, stop: threading.Event) -> Finished | None:
        """Run a claimed task; the light one that is to be committed with others."""
        if item.is_advance:
            return None
        if self._stopping.is_set():
            self._persist(partial(self._give_back, item), stop)
            return None
        started = time.monotonic()
        outcome: Outcome = self._machine.run(item, stop)
        duration = milliseconds_since(started)
        if not item.heavy:
            self._pace.ran(duration / 1000)
        if isinstance(outcome, Done) and not outcome.effects and not item.heavy:
            return Finished(item, outcome.output_json, duration)
        self._persist(lambda: self._machine.settle(item, outcome, duration), stop)
        return None

    def _give_back(self, item: Claimed) -> None:
        self._machine.store.release(self._machine.worker, item)
        self._machine.announce()

    def _commit(self, done: list[Finished]) -> None:
        if not done:
            return

        def step() -> None:
            left = self._machine.step([], 0, done)
            self._persist(partial(self._machine.advance, left), self._stopping)

        self._persist(step, self._stopping)

    def _persist(self, write: Callable[[], object], lost: threading.Event) -> None:
        """Write through an outage of the database; give up when the lease is lost, for then nothing is written."""
        while True:
            try:
                write()
                return
            except TransientError as e:
                self._in_doubt = True
                self._log.warning("settling_waits", code=e.code, error=e.message)
                if lost.wait(self._poll):
                    return

    def _settle_message(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except TransientError as e:  # it will come again, and lead to nothing
            self._log.warning("message_unsettled", code=e.code, error=e.message)

    def _resolve_doubt(self) -> None:
        """Where an answer was lost, so may be claims it carried: give back what we lease while we hold nothing."""
        if self._in_doubt:
            self._machine.store.release_unknown(self._machine.worker, [])
            self._in_doubt = False

    def _wait(self, event: str, error: TransientError) -> None:
        self._in_doubt = True
        self._log.warning(event, code=error.code, error=error.message)
        self._stopping.wait(self._poll)

    def _sweep_if_due(self) -> None:
        now = time.monotonic()
        if now - self._swept_at >= _SWEEP_EVERY:
            self._swept_at = now
            self._machine.sweep()
            self._machine.announce()
