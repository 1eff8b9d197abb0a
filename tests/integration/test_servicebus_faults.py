"""Is every job done once, whatever the broker, the network or a killed worker does at the worst moment?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.errors import DatabaseUnavailable, QueueUnavailable
from infrastructure.queues import connection
from tests.support.bus import Bus, body, running

# The SDK leaves the sockets of connections that were cut to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ROOT = Path(__file__).resolve().parents[2]


def completed(bus: Bus, tasks: int) -> None:
    """Every job is done, and each task was completed once."""
    assert bus.query("SELECT DISTINCT status FROM app.jobs") == [("completed",)]
    assert bus.query("SELECT count(*) FROM app.job_events WHERE event_type = 'task_completed'") == [(tasks,)]
    assert bus.query("SELECT count(*) FROM app.queue") == [(0,)]


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "com.microsoft:server-busy"])
def test_a_send_that_fails_once_is_repeated_under_its_id(bus: Bus, fault: str) -> None:
    bus.machine(dispatch=False).submit("probe_light", {"name": fault, "widths": [3, 0, 0]})
    bus.emulator.fail_next("send", fault)
    assert bus.service.dispatcher.dispatch() == 3
    assert bus.stats("vector-tasks")["active"] == 3, "the second copy of a batch that had arrived was recognised"
    with running(bus.worker()):
        bus.wait_finished()
    completed(bus, 3)


def test_a_broker_that_is_away_fails_no_submit_and_gets_the_work_later(bus: Bus) -> None:
    bus.emulator.fail_next("send", "com.microsoft:server-busy", count=8)
    bus.machine(dispatch=False).submit("probe_light", {"name": "away", "widths": [3, 0, 0]})
    with pytest.raises(QueueUnavailable, match="sending to vector-"):
        bus.service.dispatcher.dispatch()
    bus.emulator.fail_next("send", "com.microsoft:server-busy", count=0)
    assert bus.query("SELECT count(*), count(dispatched_at) FROM app.queue") == [(3, 0)]
    assert bus.service.dispatcher.dispatch() == 3
    with running(bus.worker()):
        bus.wait_finished()
    completed(bus, 3)


def test_a_queue_that_does_not_exist_keeps_no_other_waiting(make_bus: Callable[..., Bus]) -> None:
    bus = make_bus(ensure=False)
    with connection.administration(bus.settings) as client:
        client.create_queue(bus.names["raster-tasks"])
    bus.machine(dispatch=False).submit("probe_light", {"name": "light", "widths": [3, 0, 0]})
    bus.machine(dispatch=False).submit("probe_heavy", {"name": "heavy", "widths": [2, 0, 0]})
    with pytest.raises(QueueUnavailable, match="queues ensure"):
        bus.service.dispatcher.dispatch()
    assert bus.query("SELECT queue, count(dispatched_at) FROM app.queue GROUP BY 1 ORDER BY 1") == [
        ("raster-tasks", 2),
        ("vector-tasks", 0),
    ]


def test_a_dispatcher_killed_before_its_commit_sends_again_under_the_same_ids(bus: Bus) -> None:
    bus.machine(dispatch=False).submit("probe_light", {"name": "killed", "widths": [3, 0, 0]})

    def die(letters: object) -> list[int]:
        list(bus.service.dispatcher._sender.send("vector-tasks", letters))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bus.service.mail.send(500, 600, [], 0, die)
    assert bus.service.dispatcher.dispatch() == 3
    assert (bus.stats("vector-tasks")["active"], bus.stats("vector-tasks")["total_duplicates"]) == (3, 3)


def test_a_batch_above_the_size_limit_is_split(bus: Bus) -> None:
    bus.machine(dispatch=False).submit("probe_light", {"name": "large", "widths": [3000, 0, 0]})
    assert bus.service.dispatcher.dispatch() == 3000
    assert bus.stats("vector-tasks")["active"] == 3000
    letters = [row[0] for row in bus.query("SELECT count(*) FROM app.queue WHERE dispatches = 1")]
    assert letters == [3000]


def test_many_dispatchers_at_once_share_the_rows(bus: Bus, make_bus: Callable[..., Bus]) -> None:
    import threading

    from infrastructure.queues import ServiceBus
    from tests.support.probe import Silent

    bus.machine(dispatch=False).submit("probe_light", {"name": "shared", "widths": [2500, 0, 0]})
    others = [ServiceBus(bus.settings, bus.pool, Silent()) for _ in range(3)]
    sent: list[int] = []
    threads = [threading.Thread(target=lambda s=s: sent.append(s.dispatcher.dispatch())) for s in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert sum(sent) == 2500
    assert (bus.stats("vector-tasks")["active"], bus.stats("vector-tasks")["total_duplicates"]) == (2500, 0)


@pytest.mark.parametrize("fault", ["drop-before", "drop-after"])
def test_a_settlement_whose_answer_is_lost_does_no_work_twice(bus: Bus, fault: str) -> None:
    bus.machine().submit("probe_heavy", {"name": fault, "widths": [4, 0, 0]})
    bus.wait_sent()
    bus.emulator.fail_next("settle", fault, skip=1)
    with running(bus.worker(heavy=True)):
        bus.wait_finished()
        bus.wait(lambda: bus.stats("raster-tasks")["active"] == 0)
    assert bus.emulator.stats()["faults"] == [], "no settlement was lost"
    completed(bus, 4)


def test_a_lock_lost_half_way_does_no_work_twice(bus: Bus) -> None:
    made = bus.machine().submit("probe_heavy", {"name": "lock", "widths": [1, 0, 0]})
    bus.wait_sent()
    receiver = bus.service.receiver(["raster-tasks"])
    [delivery] = receiver.receive(1, 5)
    desk = bus.desk("first")
    from core.machine import messages

    [claimed] = desk.claim([messages.read(delivery.body)])
    bus.emulator.control("expire-locks", queue=bus.names["raster-tasks"])
    with running(bus.worker("second", heavy=True)):
        bus.wait(lambda: bus.stats("raster-tasks")["active"] == 0)
        assert bus.query("SELECT worker FROM app.queue") == [("first",)], "the second delivery found the row held"
        bus.machine("first").process(claimed)
        delivery.complete()
        bus.wait_finished()
    receiver.close()
    completed(bus, 1)
    assert bus.query("SELECT status FROM app.jobs WHERE job_id = %s", made.job_id) == [("completed",)]


def test_a_message_whose_link_was_closed_meanwhile_comes_again(bus: Bus) -> None:
    bus.machine().submit("probe_light", {"name": "closed", "widths": [1, 0, 0]})
    bus.wait_sent()
    receiver = bus.service.receiver(["vector-tasks"])
    [delivery] = receiver.receive(1, 5)
    receiver.close()
    for settle in (delivery.complete, delivery.abandon, lambda: delivery.dead_letter("no", "use")):
        with pytest.raises(QueueUnavailable, match=r"^The link to .* was closed before"):
            settle()
    bus.emulator.control("expire-locks", queue=bus.names["vector-tasks"])
    with running(bus.worker()):
        bus.wait_finished()
    completed(bus, 1)


def test_connections_cut_again_and_again_stop_nothing(bus: Bus) -> None:
    for n in range(3):
        bus.machine().submit("probe_light", {"name": f"cut-{n}", "widths": [2, 20, 1]})
    with running(bus.worker("w1"), bus.worker("w2")):
        for _ in range(3):
            bus.wait(lambda: bus.emulator.stats()["connections"] > 2)
            assert bus.emulator.drop_connections() > 0
        bus.wait_finished()
    completed(bus, 69)


def test_a_message_that_vanished_is_sent_again(bus: Bus) -> None:
    bus.machine().submit("probe_light", {"name": "vanished", "widths": [2, 0, 0]})
    bus.wait_sent()
    bus.emulator.control("purge", queue=bus.names["vector-tasks"])
    assert bus.service.dispatcher.dispatch() == 0, "not lost yet"
    long_ago = "clock_timestamp() - interval '10 minutes'"
    bus.query(f"UPDATE app.queue SET dispatched_at = {long_ago}, visible_at = {long_ago} RETURNING 1")
    assert bus.service.dispatcher.dispatch() == 2
    assert bus.stats("vector-tasks")["active"] == 2, "under new ids, or the broker would have dropped them"
    told = bus.query("SELECT count(*) FROM app.job_events WHERE checkpoint_name = 'message_sent_again'")
    assert told == [(2,)]
    with running(bus.worker()):
        bus.wait_finished()
    completed(bus, 2)


def test_a_message_in_a_long_line_is_repeated_less_and_less(make_bus: Callable[..., Bus]) -> None:
    bus = make_bus(resend_seconds=100)
    bus.machine().submit("probe_light", {"name": "line", "widths": [1, 0, 0]})
    bus.wait_sent()
    repeated = []
    for age in range(100, 3300, 100):
        bus.query(
            "UPDATE app.queue SET visible_at = '2020-01-01', dispatched_at = dispatched_at - interval '100 s'"
            " RETURNING 1"
        )
        if bus.service.dispatcher.dispatch():
            repeated.append(age)
    assert repeated == [100, 300, 700, 1500, 3100]


def test_a_worker_killed_in_the_middle_loses_nothing(bus: Bus, db: str) -> None:
    bus.machine().submit("probe_light", {"name": "killed", "widths": [5, 400, 1]})
    described = bus.settings.model_dump(mode="json") | {
        "connection_string": bus.settings.connection_string.get_secret_value()
    }
    command = [sys.executable, "-m", "tests.support.bus_worker", db, json.dumps(described)]
    with subprocess.Popen([*command, "victim", "2"], cwd=ROOT) as victim:
        bus.wait(
            lambda: bus.query("SELECT count(*) FROM app.tasks WHERE stage = 2 AND status = 'completed'")[0][0] > 20
        )
        victim.send_signal(signal.SIGKILL)
    assert victim.returncode == -signal.SIGKILL
    assert bus.query("SELECT count(*) FROM app.queue")[0][0] > 0, "it was done before it was killed"
    bus.emulator.control("expire-locks", queue=bus.names["vector-tasks"])
    with running(bus.worker("survivor", lease=2.0)):
        bus.wait_finished()
    completed(bus, 406)


def test_a_database_that_goes_away_costs_no_deliveries(bus: Bus, db: str) -> None:
    made = bus.machine().submit("probe_light", {"name": "database", "widths": [1, 0, 0]})
    bus.wait_sent()
    failing = Flaky(bus, 3, before=True)
    with running(bus.worker(mail=failing)):
        bus.wait_finished()
    assert failing.left == 0
    assert bus.stats("vector-tasks")["total_abandoned"] == 0
    completed(bus, 1)
    assert made.accepted.created


def test_a_claim_whose_answer_is_lost_is_given_back_at_once(bus: Bus) -> None:
    bus.machine().submit("probe_heavy", {"name": "lost answer", "widths": [1, 0, 0]})
    bus.wait_sent()
    failing = Flaky(bus, 1, before=False)
    with running(bus.worker(mail=failing, heavy=True)):
        bus.wait_finished()
    completed(bus, 1)
    assert bus.query("SELECT attempt, error_history FROM app.tasks") == [(2, [])], "and not by the end of its lease"


class Flaky:
    """Mail whose first claims fail, before or after the database has carried them out."""

    def __init__(self, bus: Bus, failures: int, *, before: bool) -> None:
        self._bus = bus
        self._before = before
        self.left = failures

    def claim(self, *arguments: object) -> object:
        if self.left and self._before:
            self.left -= 1
            raise DatabaseUnavailable("PostgreSQL is away.")
        claimed = self._bus.service.mail.claim(*arguments)
        if self.left:
            self.left -= 1
            raise DatabaseUnavailable("The connection broke before the answer came.")
        return claimed


def test_a_task_that_moved_to_the_heavy_queue_is_not_run_from_its_old_message(bus: Bus) -> None:
    made = bus.machine(dispatch=False).submit("probe_light", {"name": "moved", "widths": [1, 0, 0]})
    bus.query("UPDATE app.queue SET queue = 'long-running-tasks', heavy = true RETURNING 1")
    function_app = bus.desk("function", ["geospatial-jobs", "raster-tasks", "vector-tasks"], dispatch=False)
    assert function_app.handle(body(made.job_id)) is False
    assert bus.query("SELECT worker, attempt FROM app.queue") == [(None, 0)]
    assert bus.service.dispatcher.dispatch() == 1
    assert bus.stats("long-running-tasks")["active"] == 1


def test_two_claims_of_the_same_messages_in_opposite_order_do_not_deadlock(bus: Bus, db: str) -> None:
    import threading

    made = bus.machine().submit("probe_light", {"name": "order", "widths": [20, 0, 0]})
    bus.wait_sent()
    from core.machine import messages
    from core.machine.store import Claimed

    tasks = [messages.read(body(made.job_id, 1, i)) for i in range(20)]
    claimed: list[object] = []

    def claim(name: str, order: list) -> None:
        claimed.extend(c for c in bus.desk(name).claim(order) if isinstance(c, Claimed))

    threads = [threading.Thread(target=claim, args=(f"w{i}", tasks[:: 1 if i % 2 else -1])) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 20


def test_a_claim_waits_for_a_row_that_is_just_being_sent(bus: Bus, db: str) -> None:
    """The broker may deliver before the sender has committed: such a message must not count as one about nothing."""
    made = bus.machine(dispatch=False).submit("probe_light", {"name": "race", "widths": [2, 0, 0]})
    found: list[bool] = []
    import threading

    with psycopg.connect(db) as sender:
        sender.execute("SELECT * FROM app.take_letters(10, 600, '{}', 0)")
        handler = threading.Thread(target=lambda: found.append(bus.desk(dispatch=False).handle(body(made.job_id))))
        handler.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%claim_letters%%'"
        )
        bus.wait(lambda: bus.query(waiting) == [(1,)])
        sender.commit()
    handler.join()
    assert found == [True]
    assert isinstance(bus.pool, ConnectionPool)
