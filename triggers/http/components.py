"""The components of the system, each asked how it is, with what to do about it.

A component is `unhealthy` when something does not work, `degraded` when it works and somebody should look.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import anyio

from composition import Runtime
from core.contracts.storage import BlobName
from core.errors import ContractViolation, DatabaseUnavailable, GeomachineError, SourceNotFound
from core.once import once
from infrastructure.postgres.gauges import Gauge
from triggers.http.probing import Found, State, answered, probed

Probe = Callable[[], Found]
_LATE = 900.0  #: seconds after which due work or a promise that nobody took up is worth a look
_ZONES = ("bronze-misc", "silver-cogs")  #: a container of each zone that every system has
_ENSURE = "Run ./geomachine db ensure."
_NEEDS_DATABASE: State = {
    "status": "unhealthy",
    "error": "It needs the database, which does not answer.",
    "hint": "See database.",
    "code": DatabaseUnavailable.code,
}


@dataclass(frozen=True)
class Probes:
    """How to ask every component of a process. `mounted` are the APIs that only the service has."""

    runtime: Runtime
    mounted: Mapping[str, Callable[[], Coroutine[object, object, object]]] = field(default_factory=dict)

    async def ask(self) -> dict[str, State]:
        """Every component, in the order in which one would look."""
        states: dict[str, State] = {}

        async def note(name: str, asking: Awaitable[State]) -> None:
            states[name] = await asking

        async with anyio.create_task_group() as group:
            for name, probe in self._alone().items():
                group.start_soon(note, name, probed(probe))
        reached = states["database"]["status"] != "unhealthy"
        async with anyio.create_task_group() as group:
            for name, probe in self._on_database().items() if reached else ():
                group.start_soon(note, name, probed(probe))
            for name, ask in self.mounted.items() if reached else ():
                group.start_soon(note, name, answered(ask))
        return {name: states.get(name, _NEEDS_DATABASE) for name in self.names()}

    def names(self) -> list[str]:
        """Every component."""
        return [*self._alone(), *self._on_database(), *self.mounted]

    def _alone(self) -> Mapping[str, Probe]:
        """What is asked whatever the database does."""
        found: dict[str, Probe] = {
            "database": self.database,
            "storage": self.storage,
            "configuration": self.configuration,
        }
        return found | ({"broker": self.broker} if self.runtime.bus is not None else {})

    def _on_database(self) -> Mapping[str, Probe]:
        figures = _Figures(self.runtime)
        return {
            "pgstac": self.pgstac,
            "queue": figures.queue,
            "workers": figures.workers,
            "outbox": figures.outbox,
            "dead_letters": figures.dead_letters,
            "machine": self.machine,
        }

    def database(self) -> Found:
        """Asks the server what it is."""
        return Found(self.runtime.jobs.versions())

    def storage(self) -> Found:
        """Asks each zone's store for a blob that need not be there."""
        for container in _ZONES:
            with contextlib.suppress(SourceNotFound):  # an answer is all that is asked for
                self.runtime.storage.head(BlobName(container, ".health"))
        return Found({"kind": "azure" if self.runtime.settings.storage.azure else "local"})

    def pgstac(self) -> Found:
        """Asks for the version, which must be the one that our queries are written for."""
        state = self.runtime.database.vitals.catalogue()
        details = {"version": state.version, "collections": state.collections, "items": state.items}
        if state.version is None:
            raise GeomachineError("pgSTAC is not installed: nothing can be catalogued or shown.", hint=_ENSURE)
        if state.version != state.wanted_version:
            return Found(details, f"pgSTAC is {state.version}, not {state.wanted_version}.", _ENSURE)
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

    @once
    def _read(self) -> Sequence[Gauge]:
        return self._runtime.gauges.read()

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
        return {(each.part, each.state): each.value for each in self._read if each.name == name}
