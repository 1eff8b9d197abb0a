"""Messages out of Service Bus for one worker, which settles them from its own thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config import ServiceBusSettings
from core.errors import QueueUnavailable
from infrastructure.queues import connection

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

_LEAST_WAIT = 0.1


@dataclass(frozen=True)
class ServiceBusDelivery:
    """A received message under its lock."""

    body: str
    message: ServiceBusReceivedMessage
    receiver: ServiceBusReceiver
    queue: str

    def complete(self) -> None:
        """Remove it. A lock that is gone, or an answer that was lost, is no error: the row in the database decides."""
        self._settle("completing", lambda: self.receiver.complete_message(self.message))

    def abandon(self) -> None:
        """Put it back."""
        self._settle("abandoning", lambda: self.receiver.abandon_message(self.message))

    def dead_letter(self, reason: str, detail: str) -> None:
        """Put it aside."""
        self._settle(
            "dead-lettering",
            lambda: self.receiver.dead_letter_message(self.message, reason=reason, error_description=detail[:4000]),
        )

    def _settle(self, what: str, settle: Callable[[], None]) -> None:
        from azure.servicebus.exceptions import MessageAlreadySettled, MessageLockLostError

        with connection.translated(f"{what} a message of {self.queue}"):
            try:
                settle()
            except (MessageLockLostError, MessageAlreadySettled):
                return
            except ValueError as e:  # the SDK's word for a receiver that was closed, as one that failed is
                raise QueueUnavailable(f"The link to {self.queue} was closed before {what} a message.") from e


class ServiceBusReceivers:
    """A Receiver over several queues, in the order given. Nothing is fetched ahead: that would age in our hands."""

    def __init__(self, settings: ServiceBusSettings, names: Sequence[str]) -> None:
        from azure.servicebus import AutoLockRenewer

        self._names = list(names)
        self._client = connection.client(settings)
        self._renewer = AutoLockRenewer(max_lock_renewal_duration=settings.lock_renewal_seconds)
        self._receivers: dict[str, ServiceBusReceiver] = {}

    def receive(self, most: int, wait: float) -> Sequence[ServiceBusDelivery]:
        """Ask each queue in turn. A queue that fails is told once the others have been asked."""
        failure: QueueUnavailable | None = None
        share = max(wait / len(self._names), _LEAST_WAIT)
        for name in self._names:
            try:
                found = self._receive(name, most, share)
            except QueueUnavailable as e:
                failure = e
                continue
            if found:
                return found
        if failure is not None:
            raise failure
        return []

    def _receive(self, name: str, most: int, wait: float) -> list[ServiceBusDelivery]:
        try:
            with connection.translated(f"receiving from {name}"):
                receiver = self._receiver(name)
                return [
                    ServiceBusDelivery(text(message), message, receiver, name)
                    for message in receiver.receive_messages(max_message_count=most, max_wait_time=wait)
                ]
        except QueueUnavailable:
            connection.close_all(r for r in [self._receivers.pop(name, None)] if r is not None)
            raise

    def _receiver(self, name: str) -> ServiceBusReceiver:
        if name not in self._receivers:
            receiver = self._client.get_queue_receiver(name, prefetch_count=0, auto_lock_renewer=self._renewer)
            # Connect now: a short first wait ends before the link is up, and then every wait is the first again.
            self._receivers[name] = receiver.__enter__()
        return self._receivers[name]

    def close(self) -> None:
        """Locks of messages not settled run out by themselves."""
        self._renewer.close(wait=False)
        connection.close_all(self._receivers.values())
        connection.close_all([self._client])


def text(message: ServiceBusReceivedMessage) -> str:
    """The body as text, whatever was sent."""
    body = message.body
    if isinstance(body, (str, bytes)):
        return body if isinstance(body, str) else body.decode("utf-8", "replace")
    try:
        return b"".join(body).decode("utf-8", "replace")
    except TypeError:  # an AMQP value or sequence
        return str(message)
