"""One runner: the worker loop in a process of its own, with its own connections, told what to do by signals."""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import config
from core.contracts.tasks import Queue
from core.errors import TransientError
from core.machine.registry import Registry
from core.machine.slot import Slot
from infrastructure import telemetry
from triggers.worker import signals

if TYPE_CHECKING:
    from composition import Runtime
    from core.machine.broker import Delivery, Receiver
    from infrastructure.queues import ServiceBus

_QUEUES = [queue.value for queue in Queue]
_GLANCE = 0.5  #: seconds after which a waiting runner looks whether it should stop


class Loop(Protocol):
    """A worker loop, whatever brings it its work."""

    def run(self) -> None:
        """Work until `stop`."""
        ...

    def stop(self) -> None:
        """Claim nothing more and ask what runs to stop."""
        ...


@dataclass(frozen=True)
class _Arguments:
    slot: int
    parent: int


def main(registry: Registry | None = None) -> None:
    """Run until SIGTERM, SIGINT or the parent's end. SIGUSR1 asks only the handler that runs to stop: it is overdue."""
    from composition import Runtime

    arguments = _parsed()
    settings = config.load()
    telemetry.configure(settings.app.log_level)
    telemetry.start(settings.telemetry, "geomachine-worker")
    slot = Slot.of_file(arguments.slot)
    runtime = Runtime(settings, registry=registry, slot=slot)
    stopping = threading.Event()
    loop = _loop(runtime, slot, stopping)

    def stop() -> None:
        stopping.set()
        loop.stop()

    signals.listen({signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGUSR1: slot.interrupt})
    orphaned = threading.Thread(target=_end_with, args=(arguments.parent, stop, runtime), name="parent", daemon=True)
    orphaned.start()
    slot.announce(runtime.worker_name)
    loop.run()
    telemetry.stop()
    runtime.close()


def _loop(runtime: Runtime, slot: Slot, stopping: threading.Event) -> Loop:
    if runtime.bus is not None:
        return _fed_by_broker(runtime, runtime.bus, slot)
    return _fed_by_database(runtime, slot, stopping)


def _fed_by_database(runtime: Runtime, slot: Slot, stopping: threading.Event) -> Loop:
    from core.machine.worker import Worker
    from infrastructure.postgres.login import conninfo
    from infrastructure.postgres.wakeups import Wakeups

    wakeups = Wakeups(conninfo(runtime.settings.database))

    def wait(seconds: float) -> None:
        slot.sign()
        ends = time.monotonic() + seconds
        while not stopping.is_set() and (left := ends - time.monotonic()) > 0:
            if wakeups.wait(min(left, _GLANCE)):
                return

    return Worker(
        runtime.machine,
        _QUEUES,
        batch=runtime.settings.worker.batch,
        poll=runtime.settings.worker.poll_seconds,
        wait=wait,
        log=runtime.log,
    )


def _fed_by_broker(runtime: Runtime, bus: ServiceBus, slot: Slot) -> Loop:
    from core.machine.broker import BrokerWorker

    return BrokerWorker(
        runtime.machine,
        runtime.desk(_QUEUES),
        lambda: _Signing(bus.receiver(_QUEUES), slot),
        batch=runtime.settings.worker.batch,
        poll=runtime.settings.worker.poll_seconds,
        log=runtime.log,
    )


@dataclass(frozen=True)
class _Signing:
    """A receiver through which the loop shows that it gets on."""

    receiver: Receiver
    slot: Slot

    def receive(self, most: int, wait: float) -> Sequence[Delivery]:
        self.slot.sign()
        return self.receiver.receive(most, wait)

    def close(self) -> None:
        self.receiver.close()


def _end_with(parent: int, stop: Callable[[], None], runtime: Runtime) -> None:
    """Once the parent is gone, stop as it would have made us: politely first, then for good."""
    while os.getppid() == parent:
        time.sleep(0.5)
    runtime.log.warning("worker_orphaned", worker=runtime.worker_name)
    stop()
    time.sleep(runtime.settings.worker.grace_seconds)
    try:
        runtime.machine.store.release_unknown(runtime.worker_name, [])
    except TransientError as e:
        runtime.log.warning("worker_keeps_leases", code=e.code, error=e.message)
    os._exit(os.EX_TEMPFAIL)


def _parsed() -> _Arguments:
    parser = argparse.ArgumentParser(prog="python -m triggers.worker")
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    found = parser.parse_args()
    return _Arguments(found.slot, found.parent)
