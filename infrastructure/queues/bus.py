"""The parts of the Service Bus transport, each made when first used."""

from __future__ import annotations

from collections.abc import Sequence

from config import ServiceBusSettings
from core.machine.dispatch import Courier, Warnings
from core.once import once
from infrastructure.postgres.mail import PostgresMail
from infrastructure.postgres.pool import Pool
from infrastructure.queues import connection
from infrastructure.queues.administration import QueueAdministration
from infrastructure.queues.dead_letters import BrokerDeadLetters
from infrastructure.queues.dispatcher import ServiceBusDispatcher
from infrastructure.queues.receiver import ServiceBusReceivers
from infrastructure.queues.sender import Sender


class ServiceBus:
    """One process's Service Bus over its database pool. Making it connects nothing."""

    def __init__(self, settings: ServiceBusSettings, pool: Pool, log: Warnings) -> None:
        self._settings = settings
        self._names = connection.queue_names(settings)
        self.mail = PostgresMail(pool)
        self.dispatcher = ServiceBusDispatcher(
            self.mail, Sender(settings, self._names), resend_seconds=settings.resend_seconds
        )
        self.courier = Courier(self.dispatcher, log)

    @once
    def dead_letters(self) -> BrokerDeadLetters:
        """The broker's dead-letter queues."""
        return BrokerDeadLetters(self._settings, self._names, self.mail)

    @once
    def administration(self) -> QueueAdministration:
        """The queues themselves."""
        return QueueAdministration(self._settings, self._names)

    def receiver(self, queues: Sequence[str]) -> ServiceBusReceivers:
        """A receiver of the named queues of ours, for one worker thread."""
        return ServiceBusReceivers(self._settings, [self._names[q] for q in self._names if q in queues])

    def close(self) -> None:
        """Send what was asked for, then give the connections back."""
        self.courier.close()
        self.dispatcher.close()
