"""Letters into Service Bus, in as few batches as their size allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from config import ServiceBusSettings
from core.errors import QueueUnavailable
from core.machine.messages import Letter
from infrastructure.queues import connection

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSender

# A second later than due: a message that comes before its time by the database's clock only goes round once more.
_MARGIN = 1.0


class Sender:
    """One connection per queue, made when first needed and made anew after a failure. For one thread."""

    def __init__(self, settings: ServiceBusSettings, names: Mapping[str, str]) -> None:
        self._settings = settings
        self._names = names
        self._client: ServiceBusClient | None = None
        self._senders: dict[str, ServiceBusSender] = {}

    def send(self, queue: str, letters: Sequence[Letter]) -> Iterator[int]:
        """Send letters of one queue; yields their ids batch by batch. After QueueUnavailable the rest is unsent."""
        name = self._names.get(queue, queue)
        try:
            with connection.translated(f"sending to {name}"):
                yield from self._send(self._sender(name), letters)
        except QueueUnavailable:
            self._forget(name)
            raise

    def _send(self, sender: ServiceBusSender, letters: Sequence[Letter]) -> Iterator[int]:
        batch, ids = sender.create_message_batch(), list[int]()
        for letter in letters:
            message = _message(letter)
            try:
                batch.add_message(message)
            except ValueError:  # full
                if ids:
                    sender.send_messages(batch)
                    yield from ids
                batch, ids = sender.create_message_batch(), []
                batch.add_message(message)
            ids.append(letter.queue_id)
        sender.send_messages(batch)
        yield from ids

    def _sender(self, name: str) -> ServiceBusSender:
        if self._client is None:
            self._client = connection.client(self._settings)
        if name not in self._senders:
            self._senders[name] = self._client.get_queue_sender(name)
        return self._senders[name]

    def _forget(self, name: str) -> None:
        if name in self._senders:
            connection.close_all([self._senders.pop(name)])

    def close(self) -> None:
        """Give the connections back."""
        connection.close_all(self._senders.values())
        self._senders.clear()
        if self._client is not None:
            connection.close_all([self._client])
            self._client = None


def _message(letter: Letter) -> ServiceBusMessage:
    from azure.servicebus import ServiceBusMessage

    due = datetime.now(UTC) + timedelta(seconds=letter.delay + _MARGIN) if letter.delay > 0 else None
    return ServiceBusMessage(
        letter.body,
        message_id=letter.message_id,
        correlation_id=letter.job_id,
        content_type="application/json",
        scheduled_enqueue_time_utc=due,
    )
