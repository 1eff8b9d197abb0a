"""How a process reaches Service Bus: one factory per kind of client, one place that translates the SDK's errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from config import ServiceBusSettings
from core.contracts.tasks import Queue
from core.errors import ConfigurationError, QueueUnavailable

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.servicebus import ServiceBusClient
    from azure.servicebus.management import ServiceBusAdministrationClient

_ATTEMPT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_RETRIES = 1  #: the SDK's default of three takes eleven seconds to say that a queue does not exist


class Closable(Protocol):
    """A sender, a receiver or a client."""

    def close(self) -> None:
        """Give its connection back."""
        ...


def queue_names(settings: ServiceBusSettings) -> Mapping[str, str]:
    """The name in Service Bus of each of our queues, the most urgent first."""
    return {
        Queue.JOBS.value: settings.jobs_queue,
        Queue.VECTOR.value: settings.vector_queue,
        Queue.RASTER.value: settings.raster_queue,
        Queue.LONG.value: settings.long_queue,
    }


def client(settings: ServiceBusSettings) -> ServiceBusClient:
    """A client for messages. Connects when it is first used; for one thread."""
    from azure.servicebus import ServiceBusClient

    if settings.connection_string is not None:
        return ServiceBusClient.from_connection_string(
            settings.connection_string.get_secret_value(), retry_total=_RETRIES, try_timeout=_ATTEMPT_SECONDS
        )
    namespace, credential = _identity(settings)
    return ServiceBusClient(namespace, credential, retry_total=_RETRIES, try_timeout=_ATTEMPT_SECONDS)


def administration(settings: ServiceBusSettings) -> ServiceBusAdministrationClient:
    """A client for the queues themselves, over HTTPS."""
    from azure.servicebus.management import ServiceBusAdministrationClient

    if settings.connection_string is None:
        namespace, credential = _identity(settings)
        return ServiceBusAdministrationClient(
            namespace, credential, retry_total=_RETRIES, connection_timeout=_ATTEMPT_SECONDS
        )
    text = settings.connection_string.get_secret_value()
    if settings.emulator:
        from infrastructure.queues.emulator import PlainHttp, at_port

        text = at_port(text, settings.emulator_admin_port)
        return ServiceBusAdministrationClient.from_connection_string(text, transport=PlainHttp(), retry_total=_RETRIES)
    return ServiceBusAdministrationClient.from_connection_string(
        text, retry_total=_RETRIES, connection_timeout=_ATTEMPT_SECONDS
    )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the SDK's errors into QueueUnavailable. `what` is what was tried, as in "sending to raster-tasks"."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError
    from azure.servicebus.exceptions import (
        MessagingEntityNotFoundError,
        ServiceBusAuthenticationError,
        ServiceBusAuthorizationError,
    )

    try:
        yield
    except (MessagingEntityNotFoundError, ServiceBusAuthenticationError, ServiceBusAuthorizationError) as e:
        missing = isinstance(e, MessagingEntityNotFoundError)
        hint = "Run `geomachine queues ensure`." if missing else "Check the roles of this identity, or its key."
        raise QueueUnavailable(f"Service Bus refused {what}: {_reason(e)}", hint=hint) from e
    except ClientAuthenticationError as e:
        raise QueueUnavailable(f"No credential for {what}: {_reason(e)}", hint="Give this process an identity.") from e
    except (AzureError, OSError) as e:
        raise QueueUnavailable(f"Service Bus failed at {what}: {_reason(e)}") from e


def close_all(links: Iterable[Closable]) -> None:
    """Close side by side: each waits up to a second for its thread, and with a broken connection for longer."""

    def close(link: Closable) -> None:
        with suppress(Exception):  # what is broken cannot be closed any better
            link.close()

    threads = [threading.Thread(target=close, args=(link,), daemon=True) for link in links]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + _CLOSE_SECONDS
    for thread in threads:
        thread.join(max(ends - time.monotonic(), 0))


def _identity(settings: ServiceBusSettings) -> tuple[str, TokenCredential]:
    from azure.identity import DefaultAzureCredential

    if settings.namespace is None:
        raise ConfigurationError(
            "No Service Bus is configured.",
            hint="Set ServiceBusConnection__fullyQualifiedNamespace or ServiceBusConnection.",
        )
    return settings.namespace, DefaultAzureCredential(managed_identity_client_id=settings.managed_identity_client_id)


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
