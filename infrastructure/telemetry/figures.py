"""The system's figures as metrics: read from the database when somebody collects, at most every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from core.errors import TransientError
from infrastructure.postgres.gauges import Gauge
from infrastructure.postgres.pool import hurried

_FRESH = 5.0  #: seconds
_CONNECT = 2.0  #: seconds that a collection waits for the database
_NAMES = {
    "queue.items": "Open work, by queue and state.",
    "queue.oldest.age": "Seconds that the oldest due item has waited, by queue.",
    "jobs.open": "Jobs that have not ended, by status.",
    "jobs.stranded": "Open jobs that nothing would move; 0, or a defect.",
    "dead_letters.open": "What waits for a person's decision, by kind.",
    "outbox.items": "Promises not delivered, by topic and state.",
    "outbox.oldest.age": "Seconds that the oldest undelivered promise has waited.",
    "approvals.waiting": "Datasets that wait for review.",
}


class Figures:
    """Registers one gauge for each figure with the process's meter."""

    def __init__(self, read: Callable[[], Sequence[Gauge]]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._kept: Sequence[Gauge] = ()
        self._until = 0.0
        meter = metrics.get_meter("geomachine")
        for name, words in _NAMES.items():
            unit = "s" if name.endswith(".age") else "1"
            meter.create_observable_gauge(f"geomachine.{name}", [self._observer(name)], unit=unit, description=words)

    def _observer(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [Observation(each.value, _labels(each)) for each in self._fresh() if each.name == name]

    def _fresh(self) -> Sequence[Gauge]:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    with hurried(_CONNECT):  # who collects waits only so long for everything
                        self._kept = self._read()
                except TransientError:  # no figures are told while the database is away: old ones would be wrong
                    self._kept = ()
                self._until = time.monotonic() + _FRESH
            return self._kept


def _labels(gauge: Gauge) -> dict[str, str]:
    return {name: value for name, value in (("part", gauge.part), ("state", gauge.state)) if value is not None}
