"""The components of the system, each asked how it is, with what to do about it.

A component is `unhealthy` when something does not work, `degraded` when it works and somebody should look.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import anyio.from_thread

from composition import Runtime
from core.contracts.storage import BlobName
from core.errors import ContractViolation, GeomachineError, SourceNotFound
from infrastructure.postgres.gauges import Gauge

_LATE = 900.0  #: seconds after which due work or a promise that nobody took up is worth a look


@dataclass(frozen=True)
class Found:
    """What a component says of itself, and what of it somebody should look at."""

    details: Mapping[str, object]
    concern: str | None = None
    hint: str | None = None


Probe = Callable[[], Found]


@dataclass(frozen=True)
class Probes:
    """How to ask every component of a process. `mounted` are the APIs that only the service has."""

    runtime: Runtime
    mounted: Mapping[str, Callable[[], Coroutine[object, object, object]]] = field(default_factory=dict)

    def all(self) -> Mapping[str, Probe]:
        """By name, in the order in which one would look."""
        figures = _Figures(self.runtime)
        found: dict[str, Probe] = {
            "database": self.database,
            "storage": self.storage,
            "pgstac": self.pgstac,
            "configuration": self.configuration,
            "queue": figures.queue,
            "workers": figures.workers,
            "outbox": figures.outbox,
            "dead_letters": figures.dead_letters,
            "machine": self.machine,
        }
        if self.runtime.bus is not None:
            found["broker"] = self.broker
        return found | {name: _answers(ask) for name, ask in self.mounted.items()}

    def database(self) -> Found:
        """Asks the server what it is."""
        return Found(self.runtime.jobs.versions())

    def storage(self) -> Found:
        """Asks the store for a blob that need not be there."""
        with contextlib.suppress(SourceNotFound):  # an answer is all that is asked for
            self.runtime.storage.head(BlobName("bronze-misc", ".health"))
        return Found({"kind": "azure" if self.runtime.settings.storage.azure else "local"})

    def pgstac(self) -> Found:
        """Asks for the version, which must be the one that our queries are written for."""
        state = self.runtime.database.vitals.catalogue()
        details = {"version": state.version, "collections": state.collections, "items": state.items}
        if state.version != state.wanted_version:
            return Found(
                details, f"pgSTAC is {state.version}, not {state.wanted_version}.", "Run ./geomachine db ensure."
            )
        return Found(details)

    def configuration(self) -> Found:
        """Looks for settings that are probably not meant."""
        warnings = self.runtime.setting_warnings
        details = {"warnings": [asdict(each) for each in warnings]}
        if not warnings or self.runtime.settings.app.development:
            return Found(details)
        first = warnings[0]
        return Found(details, f"{first.setting}: {first.problem}", first.fix)

    def machine(self) -> Found:
        """Looks for open jobs without a live lease, a due time or a place in line. There are none, or a defect."""
        standing = self.runtime.jobs.machine_standing()
        if standing["stranded_jobs"]:
            raise ContractViolation(
                f"{standing['stranded_jobs']} open jobs have no open work.",
                hint="The janitor gives it back within a minute; app.janitor_runs tells what it found.",
            )
        return Found(standing)

    def broker(self) -> Found:
        """Asks Service Bus for its queues' counts; only where it is configured."""
        assert self.runtime.bus is not None
        return Found({"queues": [asdict(counts) for counts in self.runtime.bus.administration.counts()]})


class _Figures:
    """Components that are judged by figures, which are read once for all of them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._read: Sequence[Gauge] | None = None

    def queue(self) -> Found:
        """Open work by queue."""
        oldest = max(self._values("queue.oldest.age").values(), default=0.0)
        details = {"backlog": self._runtime.jobs.backlog(), "oldest_due_seconds": round(oldest, 1)}
        if oldest > _LATE:
            return Found(details, f"Work has been due for {oldest:.0f} s.", "Start workers, or see what they wait for.")
        return Found(details)

    def workers(self) -> Found:
        """Leases: what is being worked on, and what workers left."""
        found = self._runtime.jobs.leases()
        due = sum(value for (_, state), value in self._values("queue.items").items() if state == "due")
        if found["expired"]:
            return Found(found, f"{found['expired']} leases have run out.", "The sweep returns them within a minute.")
        if due and not found["leased"] and max(self._values("queue.oldest.age").values(), default=0.0) > 60:
            return Found(found, f"{due:.0f} items are due and nobody works.", "Start a worker: ./geomachine worker.")
        return Found(found)

    def outbox(self) -> Found:
        """Promises to the outside world."""
        details = self._runtime.jobs.outbox_backlog()
        age = max(self._values("outbox.oldest.age").values(), default=0.0)
        details = {**details, "oldest_seconds": round(age, 1)}
        if age > _LATE:
            return Found(details, f"A promise has waited for {age:.0f} s.", "See last_error in app.outbox.")
        return Found(details)

    def dead_letters(self) -> Found:
        """What waits for a person."""
        kinds = {kind: int(value) for (_, kind), value in self._values("dead_letters.open").items()}
        count = sum(kinds.values())
        details = {"open": count, "by_kind": kinds}
        if count:
            return Found(details, f"{count} dead letters wait for a decision.", "See GET /api/admin/dead-letters.")
        return Found(details)

    def _values(self, name: str) -> dict[tuple[str | None, str | None], float]:
        if self._read is None:
            self._read = self._runtime.gauges.read()
        return {(each.part, each.state): each.value for each in self._read if each.name == name}


def _answers(ask: Callable[[], Coroutine[object, object, object]]) -> Probe:
    """Has a mounted API ask its own database sessions. Called from a thread of the event loop's."""

    def probe() -> Found:
        anyio.from_thread.run(ask)
        return Found({})

    return probe


def probed(probe: Probe) -> dict[str, object]:
    """What a component says, and how long it took; or what is wrong with it."""
    started = time.perf_counter()
    try:
        found = probe()
    except GeomachineError as e:
        return {"status": "unhealthy", "error": e.message, "hint": e.hint, "code": e.code}
    latency = {"latency_ms": round((time.perf_counter() - started) * 1000, 1)}
    if found.concern is None:
        return {"status": "healthy", **latency, **found.details}
    return {"status": "degraded", **latency, "warning": found.concern, "hint": found.hint, **found.details}
