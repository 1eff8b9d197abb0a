"""Does the tests' Service Bus behave as the product relies on? The SDK asks it, or a real namespace."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError
from azure.servicebus.management import ServiceBusAdministrationClient

from infrastructure.queues.emulator import PlainHttp
from tests.sb_emulator.fixture import Emulator

# The SDK leaves the sockets of connections that were cut to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@dataclass
class Endpoint:
    """A namespace, its administration, and the emulator's controls where it is one."""

    connection_string: str
    admin: ServiceBusAdministrationClient
    emulator: Emulator | None

    def faults(self) -> Emulator:
        if self.emulator is None:
            pytest.skip("needs the emulator's fault injection")
        return self.emulator


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """SB_CONNECTION_STRING and SB_ADMIN_CONNECTION_STRING name a real one."""
    real = os.environ.get("SB_CONNECTION_STRING")
    if real:
        text = os.environ.get("SB_ADMIN_CONNECTION_STRING", real)
        with ServiceBusAdministrationClient.from_connection_string(text) as admin:
            yield Endpoint(real, admin, None)
        return
    with Emulator() as emulator:
        text = emulator.admin_connection_string
        with ServiceBusAdministrationClient.from_connection_string(text, transport=PlainHttp()) as admin:
            yield Endpoint(emulator.connection_string, admin, emulator)


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[ServiceBusClient]:
    with ServiceBusClient.from_connection_string(endpoint.connection_string, retry_total=1) as connected:
        yield connected


@pytest.fixture
def queue(endpoint: Endpoint) -> Iterator[Callable[..., str]]:
    """A factory of queues that go with the test."""
    made: list[str] = []

    def make(**properties: object) -> str:
        made.append(f"t-{uuid.uuid4().hex[:10]}")
        endpoint.admin.create_queue(made[-1], **properties)
        return made[-1]

    yield make
    for name in made:
        endpoint.admin.delete_queue(name)
    gc.collect()  # sockets the SDK forgot, while the tests' own filter of warnings still holds


def send(client: ServiceBusClient, name: str, *messages: ServiceBusMessage) -> None:
    with client.get_queue_sender(name) as sender:
        for message in messages:
            sender.send_messages(message)


def drain(client: ServiceBusClient, name: str, **options: object) -> list[str]:
    found: list[str] = []
    with client.get_queue_receiver(name, **options) as receiver:
        while messages := receiver.receive_messages(max_message_count=100, max_wait_time=1):
            for message in messages:
                receiver.complete_message(message)
                found.append(str(message))
    return found


def test_a_batch_is_received_once_and_in_order(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    name = queue()
    send(client, name, [ServiceBusMessage(str(i)) for i in range(500)])
    assert drain(client, name) == [str(i) for i in range(500)]


def test_abandoned_too_often_is_dead_lettered(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    name = queue(max_delivery_count=3)
    send(client, name, ServiceBusMessage("poison"))
    counts = []
    with client.get_queue_receiver(name) as receiver:
        while messages := receiver.receive_messages(max_wait_time=1):
            counts.append(messages[0].delivery_count)
            receiver.abandon_message(messages[0])
    assert counts == [0, 1, 2]
    with client.get_queue_receiver(name, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        [dead] = receiver.receive_messages(max_wait_time=5)
        assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
        receiver.complete_message(dead)


def test_the_broker_refuses_a_lock_that_has_ended(
    endpoint: Endpoint, client: ServiceBusClient, queue: Callable[..., str]
) -> None:
    faults, name = endpoint.faults(), queue()
    send(client, name, ServiceBusMessage("slow"))
    with client.get_queue_receiver(name) as receiver:
        [message] = receiver.receive_messages(max_wait_time=5)
        faults.control("expire-locks", queue=name)
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(message)
        [again] = receiver.receive_messages(max_wait_time=5)
        assert (again.sequence_number, again.delivery_count) == (message.sequence_number, 1)
        assert again.lock_token != message.lock_token
        receiver.complete_message(again)


def test_a_renewed_lock_lasts_longer(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    name = queue(lock_duration=timedelta(seconds=30))
    send(client, name, ServiceBusMessage("x"))
    with client.get_queue_receiver(name) as receiver:
        [message] = receiver.receive_messages(max_wait_time=5)
        first = message.locked_until_utc
        assert receiver.renew_message_lock(message) > first
        receiver.complete_message(message)


def test_a_scheduled_message_comes_at_its_time(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    name = queue()
    due = datetime.now(UTC) + timedelta(seconds=2)
    send(client, name, ServiceBusMessage("later", scheduled_enqueue_time_utc=due))
    with client.get_queue_receiver(name) as receiver:
        [message] = receiver.receive_messages(max_wait_time=10)
        assert datetime.now(UTC) >= due - timedelta(seconds=0.5)
        receiver.complete_message(message)


def test_a_second_message_of_the_same_id_is_dropped(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    name = queue(requires_duplicate_detection=True)
    messages = [ServiceBusMessage(text, message_id=text[0]) for text in ("a1", "a2", "b1")]
    send(client, name, *messages)
    assert drain(client, name) == ["a1", "b1"]


def test_a_batch_says_when_it_is_full(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    with client.get_queue_sender(queue()) as sender:
        batch = sender.create_message_batch()
        with pytest.raises(ValueError, match="limit"):
            for _ in range(100):
                batch.add_message(ServiceBusMessage(b"x" * 10_000))
        assert 200_000 < batch.size_in_bytes <= batch.max_size_in_bytes


def test_a_large_message_crosses_frames(client: ServiceBusClient, queue: Callable[..., str]) -> None:
    name, body = queue(), bytes(range(256)) * 780
    send(client, name, ServiceBusMessage(body))
    with client.get_queue_receiver(name) as receiver:
        [message] = receiver.receive_messages(max_wait_time=5)
        assert b"".join(message.body) == body
        receiver.complete_message(message)


@pytest.mark.parametrize(("fault", "completed"), [("drop-before", 1), ("drop-after", 1)])
def test_a_settlement_cut_off_is_applied_once_or_refused(
    endpoint: Endpoint, client: ServiceBusClient, queue: Callable[..., str], fault: str, completed: int
) -> None:
    """Applied and its answer lost, the SDK is told that the lock is gone: it means "unknown"."""
    faults, name = endpoint.faults(), queue()
    send(client, name, ServiceBusMessage("x"))
    with client.get_queue_receiver(name) as receiver:
        [message] = receiver.receive_messages(max_wait_time=5)
        faults.fail_next("settle", fault)
        if fault == "drop-after":
            with pytest.raises(ServiceBusError):
                receiver.complete_message(message)
        else:
            receiver.complete_message(message)
    assert faults.stats(name)["total_completed"] == completed


def test_a_send_whose_answer_was_lost_is_sent_twice(
    endpoint: Endpoint, client: ServiceBusClient, queue: Callable[..., str]
) -> None:
    faults = endpoint.faults()
    for name, copies in ((queue(), 2), (queue(requires_duplicate_detection=True), 1)):
        faults.fail_next("send", "drop-after")
        send(client, name, ServiceBusMessage("x", message_id="same"))
        assert faults.stats(name)["active"] == copies


def test_queues_are_made_changed_counted_and_removed(endpoint: Endpoint, client: ServiceBusClient) -> None:
    name = f"adm-{uuid.uuid4().hex[:8]}"
    made = endpoint.admin.create_queue(name, lock_duration=timedelta(seconds=7), max_delivery_count=4)
    assert (made.lock_duration, made.max_delivery_count) == (timedelta(seconds=7), 4)
    with pytest.raises(ResourceExistsError):
        endpoint.admin.create_queue(name)
    made.max_delivery_count = 6
    endpoint.admin.update_queue(made)
    assert endpoint.admin.get_queue(name).max_delivery_count == 6
    send(client, name, ServiceBusMessage("a"))
    assert endpoint.admin.get_queue_runtime_properties(name).active_message_count == 1
    endpoint.admin.delete_queue(name)
    with pytest.raises(ResourceNotFoundError):
        endpoint.admin.get_queue(name)
