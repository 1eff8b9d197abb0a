"""Are the queues as the code expects them, counted, and is what the broker gave up on never lost?"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

import config
from config import ServiceBusSettings
from core.errors import ConfigurationError, QueueUnavailable
from infrastructure.queues import connection
from infrastructure.queues.administration import QueueAdministration, QueueCounts
from tests.support.bus import Bus, body, running
from tests.support.system import KEY, environment, process

# The SDK leaves the sockets of connections that were cut to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN = "0" * 64


def changes(bus: Bus) -> set[str]:
    return {queue.change for queue in bus.service.administration.ensure()}


def test_queues_are_made_once_and_as_they_must_be(make_bus: Callable[..., Bus]) -> None:
    bus = make_bus(ensure=False)
    assert changes(bus) == {"created"}
    assert changes(bus) == {"unchanged"}
    with connection.administration(bus.settings) as client:
        queue = client.get_queue(bus.names["raster-tasks"])
        assert client.get_queue(bus.names["long-running-tasks"]).max_delivery_count == 20
    assert queue.lock_duration == timedelta(minutes=5)
    assert (queue.max_delivery_count, queue.requires_duplicate_detection, queue.requires_session) == (10, True, False)
    assert queue.dead_lettering_on_message_expiration
    assert queue.default_message_time_to_live > timedelta(days=10_000)


def test_a_queue_made_by_hand_is_mended_or_reported(make_bus: Callable[..., Bus]) -> None:
    bus = make_bus(ensure=False)
    with connection.administration(bus.settings) as client:
        client.create_queue(
            bus.names["raster-tasks"],
            lock_duration=timedelta(seconds=30),
            default_message_time_to_live=timedelta(hours=24),
            requires_duplicate_detection=True,
        )
        client.create_queue(bus.names["vector-tasks"])
        found = {queue.name: queue.change for queue in bus.service.administration.ensure()}
        mended = client.get_queue(bus.names["raster-tasks"])
    assert found[bus.names["raster-tasks"]] == "updated"
    assert found[bus.names["vector-tasks"]] == "wrong", "duplicate detection is chosen when a queue is made"
    assert mended.lock_duration == timedelta(minutes=5)
    assert mended.default_message_time_to_live > timedelta(days=10_000), "work does not expire"


def test_counts_tell_active_scheduled_and_dead_messages(bus: Bus) -> None:
    bus.machine(dispatch=False).submit("probe_light", {"name": "counted", "widths": [3, 0, 0]})
    bus.query(
        "UPDATE app.queue SET visible_at = clock_timestamp() + interval '1 hour' WHERE task_index = 0 RETURNING 1"
    )
    assert bus.service.dispatcher.dispatch() == 3
    bus.send("raster-tasks", "not ours")
    with running(bus.worker(heavy=True)):
        bus.wait(lambda: bus.stats("raster-tasks")["dead_letter"] == 1)
        bus.wait(lambda: bus.stats("vector-tasks")["active"] == 0)
    counts = {counted.name: counted for counted in bus.service.administration.counts()}
    assert set(counts) == set(bus.names.values())
    assert counts[bus.names["vector-tasks"]] == QueueCounts(bus.names["vector-tasks"], 0, 1, 0)
    assert counts[bus.names["raster-tasks"]].dead == 1


def test_a_dead_lettered_message_goes_to_the_inbox_and_its_work_goes_on(bus: Bus) -> None:
    made = bus.machine().submit("probe_light", {"name": "dead", "widths": [2, 0, 0]})
    bus.wait_sent()
    with connection.client(bus.settings) as client, client.get_queue_receiver(bus.names["vector-tasks"]) as receiver:
        for _ in range(10):  # what a worker that dies every time does
            for message in receiver.receive_messages(max_message_count=2, max_wait_time=5):
                receiver.abandon_message(message)
    bus.wait(lambda: bus.stats("vector-tasks")["dead_letter"] == 2)
    assert bus.service.dead_letters.drain() == 2
    assert bus.stats("vector-tasks")["dead_letter"] == 0
    kept = bus.query(
        "SELECT kind, cause, state, error_code, queue, job_id, stage, task_index FROM app.dead_letters"
        " ORDER BY task_index"
    )
    expected = ("message", "broker", "redriven", "MaxDeliveryCountExceeded", "vector-tasks", made.job_id, 1)
    assert kept == [(*expected, 0), (*expected, 1)]
    assert bus.query("SELECT count(*) FROM app.job_events WHERE checkpoint_name = 'message_dead_lettered'") == [(2,)]
    assert bus.service.dispatcher.dispatch() == 2
    assert bus.stats("vector-tasks")["active"] == 2, "under new ids, or the broker would have dropped them"
    with running(bus.worker()):
        bus.wait_finished()
    assert bus.query("SELECT status FROM app.jobs") == [("completed",)]


def test_what_is_foreign_or_finished_is_kept_and_not_sent_again(bus: Bus) -> None:
    made = bus.machine().submit("probe_light", {"name": "done", "widths": [1, 0, 0]})
    with running(bus.worker()):
        bus.wait_finished()
    bus.send("vector-tasks", body(made.job_id), body(UNKNOWN), "not json", b"nul \x00 and \xff")
    with connection.client(bus.settings) as client, client.get_queue_receiver(bus.names["vector-tasks"]) as receiver:
        for message in receiver.receive_messages(max_message_count=10, max_wait_time=5):
            receiver.dead_letter_message(message, reason="ByHand", error_description="a person did it")
    assert bus.service.dead_letters.drain() == 4
    kept = bus.query("SELECT state, job_id, payload->>'body' FROM app.dead_letters ORDER BY dead_letter_id")
    assert kept == [
        ("discarded", made.job_id, body(made.job_id)),
        ("open", None, body(UNKNOWN)),
        ("open", None, "not json"),
        ("open", None, "nul  and \N{REPLACEMENT CHARACTER}"),
    ]


def test_a_drain_cut_off_keeps_each_message_once(bus: Bus) -> None:
    bus.send("vector-tasks", "one", "two")
    with running(bus.worker()):
        bus.wait(lambda: bus.stats("vector-tasks")["dead_letter"] == 2)
    bus.emulator.fail_next("settle", "drop-before")
    for _ in range(2):
        with contextlib.suppress(QueueUnavailable):
            bus.service.dead_letters.drain()
        bus.emulator.control("expire-locks", queue=f"{bus.names['vector-tasks']}/$DeadLetterQueue")
    assert bus.stats("vector-tasks")["dead_letter"] == 0
    assert bus.query("SELECT count(*) FROM app.dead_letters") == [(2,)]


@pytest.mark.parametrize(
    "more",
    [{"ENVIRONMENT": "prod"}, {"WEBSITE_SITE_NAME": "my-app"}, {"CONTAINER_APP_NAME": "my-worker"}],
)
def test_an_emulator_is_refused_outside_development(monkeypatch: pytest.MonkeyPatch, more: dict[str, str]) -> None:
    text = "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;"
    monkeypatch.setenv("ServiceBusConnection", text)
    monkeypatch.setenv("QUEUE_TRANSPORT", "servicebus")
    assert config.load().service_bus.emulator
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="emulator"):
        config.load()


def test_a_transport_without_a_connection_and_two_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_TRANSPORT", "servicebus")
    with pytest.raises(ConfigurationError, match="nothing says which"):
        config.load()
    monkeypatch.setenv("ServiceBusConnection", "Endpoint=sb://a;SharedAccessKeyName=a;SharedAccessKey=b")
    monkeypatch.setenv("ServiceBusConnection__fullyQualifiedNamespace", "a.servicebus.windows.net")
    with pytest.raises(ConfigurationError, match="keep one"):
        config.load()
    monkeypatch.delenv("ServiceBusConnection")
    monkeypatch.setenv("SERVICE_BUS_RASTER_QUEUE", "same")
    monkeypatch.setenv("SERVICE_BUS_VECTOR_QUEUE", "Same")
    with pytest.raises(ConfigurationError, match="the same queue"):
        config.load()


def test_a_broker_nobody_listens_for_is_unavailable() -> None:
    text = "Endpoint=sb://localhost:1;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;"
    settings = ServiceBusSettings(connection_string=SecretStr(text), emulator_admin_port=1)
    with pytest.raises(QueueUnavailable, match="counting messages"):
        QueueAdministration(settings, connection.queue_names(settings)).counts()


def test_the_command_line_makes_counts_and_serves_the_queues(bus: Bus, db: str, tmp_path: Path) -> None:
    """A worker process as deployed: the settings say that it works for the broker."""
    variables = {
        "QUEUE_TRANSPORT": "servicebus",
        "ServiceBusConnection": bus.settings.connection_string.get_secret_value(),
        "SERVICE_BUS_EMULATOR_ADMIN_PORT": str(bus.settings.emulator_admin_port),
        "SERVICE_BUS_JOBS_QUEUE": bus.settings.jobs_queue,
        "SERVICE_BUS_RASTER_QUEUE": bus.settings.raster_queue,
        "SERVICE_BUS_VECTOR_QUEUE": bus.settings.vector_queue,
        "SERVICE_BUS_LONG_RUNNING_QUEUE": bus.settings.long_queue,
    }
    env = environment(db, tmp_path / "home", **variables)

    def cli(*words: str) -> str:
        command = [sys.executable, "-m", "triggers.cli", *words]
        return subprocess.run(
            command, env=env, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120
        ).stdout

    assert cli("queues", "ensure").count("unchanged") == 4
    bus.query(
        "SELECT app.submit_job(%s, 'hello_world', %s, 2, NULL, NULL, '{}', false, 'greeting', 'hello_world_greeting',"
        " 'vector-tasks', false, 4, 'fail_fast', %s, %s)",
        "a" * 64,
        json.dumps({"n": 2, "message": "hi"}),
        ["0", "1"],
        [json.dumps({"index": i, "message": "hi"}) for i in range(2)],
    )
    with process("worker", env, tmp_path / "worker.log"):
        bus.wait_finished()
    assert bus.query("SELECT status, result->>'replies' FROM app.jobs") == [("completed", "2")]
    assert bus.names["vector-tasks"] in cli("queues", "status")
    assert KEY not in (tmp_path / "worker.log").read_text()
