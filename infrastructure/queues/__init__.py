"""Azure Service Bus: sending open work, receiving it, its dead-letter queues and its administration."""

from infrastructure.queues.bus import ServiceBus

__all__ = ["ServiceBus"]
