"""The queues themselves: made as the code expects them, and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from config import ServiceBusSettings
from core.contracts.tasks import Queue
from infrastructure.queues import connection

if TYPE_CHECKING:
    from azure.servicebus.management import QueueProperties, ServiceBusAdministrationClient

_LOCK = timedelta(minutes=5)  #: the longest there is; renewed while a task runs
_DUPLICATES = timedelta(minutes=10)
_NEVER = timedelta(days=10000)  #: as good as; the service's own "never" is 10675199 days
# Deliveries that end without settlement: a killed worker, a lost lock. The database counts failures of tasks, so these
# only bound what kills every worker before it can claim. Long tasks meet more upgrades and scale-ins than short ones.
_DELIVERIES: Mapping[str, int] = {Queue.LONG.value: 20}
_DEFAULT_DELIVERIES = 10


@dataclass(frozen=True)
class QueueCounts:
    """What is in a queue now. `dead` waits for the timer that moves it to the inbox."""

    name: str
    active: int
    scheduled: int
    dead: int


@dataclass(frozen=True)
class Ensured:
    """What became of a queue: `created`, `updated`, `unchanged`, or `wrong` with what only a new queue can mend."""

    name: str
    change: str
    note: str = ""


class QueueAdministration:
    """Needs the role Azure Service Bus Data Owner, or a key with the right Manage."""

    def __init__(self, settings: ServiceBusSettings, names: Mapping[str, str]) -> None:
        self._settings = settings
        self._names = names

    def ensure(self) -> list[Ensured]:
        """Create what is missing and mend what can be changed. Messages never expire here: age is no failure."""
        with connection.translated("making the queues"), connection.administration(self._settings) as client:
            return [self._ensure(client, queue, name) for queue, name in self._names.items()]

    def _ensure(self, client: ServiceBusAdministrationClient, queue: str, name: str) -> Ensured:
        from azure.core.exceptions import ResourceNotFoundError

        deliveries = _DELIVERIES.get(queue, _DEFAULT_DELIVERIES)
        try:
            found = client.get_queue(name)
        except ResourceNotFoundError:
            client.create_queue(
                name,
                lock_duration=_LOCK,
                max_delivery_count=deliveries,
                requires_duplicate_detection=True,
                duplicate_detection_history_time_window=_DUPLICATES,
                dead_lettering_on_message_expiration=True,
            )
            return Ensured(name, "created")
        changed = _mend(found, deliveries)
        if changed:
            client.update_queue(found)
        if found.requires_session or not found.requires_duplicate_detection:
            return Ensured(name, "wrong", "It needs duplicate detection and no sessions: delete it while it is empty.")
        return Ensured(name, "updated" if changed else "unchanged", ", ".join(changed))

    def counts(self) -> list[QueueCounts]:
        """What our queues hold; a queue that does not exist is left out."""
        wanted = {name.lower() for name in self._names.values()}
        with connection.translated("counting messages"), connection.administration(self._settings) as client:
            return [
                QueueCounts(
                    q.name,
                    q.active_message_count or 0,
                    q.scheduled_message_count or 0,
                    q.dead_letter_message_count or 0,
                )
                for q in client.list_queues_runtime_properties()
                if q.name.lower() in wanted
            ]


def _mend(found: QueueProperties, deliveries: int) -> list[str]:
    wanted: dict[str, object] = {
        "lock_duration": _LOCK,
        "max_delivery_count": deliveries,
        "dead_lettering_on_message_expiration": True,
    }
    lives = found.default_message_time_to_live
    if isinstance(lives, timedelta) and lives < _NEVER:
        wanted["default_message_time_to_live"] = "P10675199DT2H48M5.4775807S"
    changed = [name for name, value in wanted.items() if getattr(found, name) != value]
    for name in changed:
        setattr(found, name, wanted[name])
    return changed
