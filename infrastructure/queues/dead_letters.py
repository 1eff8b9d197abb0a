"""Service Bus's own dead-letter queues, emptied into the one inbox in the database."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import JsonValue

from config import ServiceBusSettings
from core.errors import InvalidRequest
from core.machine import messages
from core.machine.identity import TaskId
from infrastructure.postgres.mail import PostgresMail
from infrastructure.queues import connection
from infrastructure.queues.receiver import text

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage

_BATCH = 50
_WAIT = 1.0
_MOST = 1000  #: per queue and round


class BrokerDeadLetters:
    """Drains the dead-letter queue of every queue."""

    def __init__(self, settings: ServiceBusSettings, names: Mapping[str, str], mail: PostgresMail) -> None:
        self._settings = settings
        self._names = names
        self._mail = mail

    def drain(self) -> int:
        """Keep what the broker gave up on, then remove it there; how many. Work that is still open is sent again.

        A crash in between keeps a message once: the inbox knows its number. Raises QueueUnavailable at the end.
        """
        with ThreadPoolExecutor(len(self._names)) as threads:  # most of it is waiting
            rounds = [threads.submit(self._drain, queue, name) for queue, name in self._names.items()]
        failure = next((e for r in rounds if (e := r.exception()) is not None), None)
        if failure is not None:
            raise failure
        return sum(r.result() for r in rounds)

    def _drain(self, queue: str, name: str) -> int:
        with (
            connection.translated(f"emptying the dead letters of {name}"),
            connection.client(self._settings) as client,
        ):
            return self._empty(client, queue, name)

    def _empty(self, client: ServiceBusClient, queue: str, name: str) -> int:
        from azure.servicebus import ServiceBusSubQueue
        from azure.servicebus.exceptions import MessageLockLostError

        count = 0
        with client.get_queue_receiver(name, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
            while count < _MOST:
                found = receiver.receive_messages(max_message_count=_BATCH, max_wait_time=_WAIT)
                for message in found:
                    self._keep(queue, message)
                    try:
                        receiver.complete_message(message)
                    except MessageLockLostError:
                        continue  # kept; it comes once more and is recognised
                    count += 1
                if not found:
                    break
        return count

    def _keep(self, queue: str, message: ServiceBusReceivedMessage) -> None:
        body = text(message).replace("\0", "")  # PostgreSQL has no NUL in text
        payload: dict[str, JsonValue] = {
            "body": body,
            "message_id": message.message_id,
            "sequence_number": message.sequence_number,
            "enqueued_at": message.enqueued_time_utc.isoformat() if message.enqueued_time_utc else None,
            "delivery_count": message.delivery_count,
        }
        reason = message.dead_letter_reason or "DeadLettered"
        detail = message.dead_letter_error_description or "The broker gave no reason."
        self._mail.undeliverable(queue, _task(body), reason, detail, payload)


def _task(body: str) -> TaskId | None:
    try:
        return messages.read(body)
    except InvalidRequest:
        return None
