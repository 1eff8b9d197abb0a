"""Do jobs run over Service Bus as they do over PostgreSQL: once, to the end, whatever happens to messages?"""

from __future__ import annotations

import json

import pytest

from core.machine.retries import RetryPolicy
from tests.support.api import Api
from tests.support.bus import Bus, body, running
from tests.support.probe import QUEUES, machine

UNKNOWN = "0" * 64


def statuses(bus: Bus) -> list[str]:
    return [row[0] for row in bus.query("SELECT status FROM app.jobs ORDER BY job_key")]


def events(bus: Bus, kind: str) -> int:
    return bus.query("SELECT count(*) FROM app.job_events WHERE event_type = %s", kind)[0][0]


@pytest.mark.parametrize("kind", ["probe_light", "probe_heavy"])
def test_two_workers_run_a_job_over_the_broker(bus: Bus, kind: str) -> None:
    bus.machine().submit(kind, {"name": "a", "widths": [2, 30, 1]})
    with running(bus.worker("w1", heavy=True), bus.worker("w2", heavy=True)):
        bus.wait_finished()
    assert statuses(bus) == ["completed"]
    assert events(bus, "task_completed") == 33
    assert events(bus, "stage_started") == events(bus, "stage_completed") == 3
    assert bus.query("SELECT count(*) FROM app.queue") == [(0,)]
    for queue in bus.names:
        assert (bus.stats(queue)["active"], bus.stats(queue)["dead_letter"]) == (0, 0)


def test_light_tasks_come_in_batches_and_are_committed_together(bus: Bus) -> None:
    bus.machine().submit("probe_light", {"name": "many", "widths": [60, 0, 0]})
    bus.wait_sent()
    with running(bus.worker()):
        bus.wait_finished()
    commits = bus.query("SELECT count(DISTINCT xmin::text) FROM app.tasks WHERE stage = 1")[0][0]
    assert commits < 60
    assert statuses(bus) == ["completed"]
    # The worker that ends stage 1 advances it at once; the empty stages after it are told by messages.
    assert events(bus, "job_message_received") == 2


def test_messages_that_come_twice_or_in_another_order_change_nothing(bus: Bus) -> None:
    made = bus.machine().submit("probe_light", {"name": "twice", "widths": [6, 3, 1]})
    bus.wait_sent()
    bus.send("vector-tasks", *(body(made.job_id, 1, i) for i in (5, 3, 0, 5, 5, 1)))
    with running(bus.worker("w1"), bus.worker("w2")):
        bus.wait_finished()
        bus.send("vector-tasks", *(body(made.job_id, 1, i) for i in range(6)))
        bus.wait(lambda: bus.stats("vector-tasks")["active"] == 0)
    assert statuses(bus) == ["completed"]
    assert events(bus, "task_completed") == 10
    assert events(bus, "task_not_found") == 0


def test_messages_about_nothing_are_settled_and_told_where_there_is_a_job(bus: Bus) -> None:
    made = bus.machine().submit("probe_light", {"name": "unknown", "widths": [1, 0, 0]})
    bus.send("vector-tasks", body(UNKNOWN), body(made.job_id, 1, 77), body(made.job_id, 9, "advance"))
    with running(bus.worker()):
        bus.wait_finished()
        bus.wait(lambda: bus.stats("vector-tasks")["active"] == 0)
    assert statuses(bus) == ["completed"]
    told = bus.query("SELECT stage, task_index FROM app.job_events WHERE event_type = 'task_not_found' ORDER BY stage")
    assert told == [(1, 77), (9, None)]
    assert bus.stats("vector-tasks")["dead_letter"] == 0


def test_a_message_that_is_not_ours_is_put_aside_at_once(bus: Bus) -> None:
    bodies = ["not json", "[]", '{"task_id": 7}', b"\xff\xfe\x00"]
    bus.send("vector-tasks", *bodies)
    with running(bus.worker()):
        bus.wait(lambda: bus.stats("vector-tasks")["dead_letter"] == len(bodies))
    assert bus.stats("vector-tasks")["total_delivered"] == len(bodies)


def test_a_retry_is_a_scheduled_message(bus: Bus) -> None:
    bus.machine().submit("probe_light", {"name": "later", "behaviour": "transient once"})
    with running(bus.worker(retry=RetryPolicy(7200, 7200))):
        bus.wait(lambda: bus.stats("vector-tasks")["scheduled"] == 1)
        bus.wait(lambda: bus.stats("vector-tasks")["active"] == 0)
    assert statuses(bus) == ["processing"]
    bus.query("UPDATE app.queue SET visible_at = clock_timestamp(), dispatched_at = NULL RETURNING 1")
    assert bus.service.dispatcher.dispatch() == 1
    with running(bus.worker()):
        bus.wait_finished()
    [(attempt,)] = bus.query("SELECT attempt FROM app.tasks WHERE stage = 2 AND task_index = 0")
    assert (statuses(bus), attempt) == (["completed"], 2)


def test_a_message_that_comes_too_early_is_sent_again_for_its_time(bus: Bus) -> None:
    made = bus.machine().submit("probe_light", {"name": "early", "widths": [1, 0, 0]})
    bus.wait_sent()
    bus.query("UPDATE app.queue SET visible_at = clock_timestamp() + interval '1 hour' RETURNING 1")
    assert bus.desk(dispatch=False).handle(body(made.job_id)) is False
    assert bus.query("SELECT dispatched_at FROM app.queue") == [(None,)]
    assert bus.service.dispatcher.dispatch() == 1
    assert bus.stats("vector-tasks")["scheduled"] == 1


def test_a_second_heavy_task_is_given_back_and_not_hoarded(bus: Bus) -> None:
    made = bus.machine().submit("probe_heavy", {"name": "hoard", "widths": [3, 0, 0]})
    bus.wait_sent()
    desk = bus.desk("greedy")
    from core.machine import messages

    found = desk.claim([messages.read(body(made.job_id, 1, i)) for i in range(3)])
    assert [str(f) if isinstance(f, str) else "claimed" for f in found] == ["claimed", "deferred", "deferred"]
    sent = bus.query("SELECT dispatched_at IS NULL, worker FROM app.queue ORDER BY task_index")
    assert sent == [(False, "greedy"), (True, None), (True, None)]


def test_a_stopped_worker_gives_back_what_it_has_not_begun(bus: Bus) -> None:
    bus.machine().submit("probe_light", {"name": "stopped", "widths": [40, 0, 0]})
    bus.wait_sent()
    worker = bus.worker("stopped")
    with running(worker):
        bus.wait(lambda: bus.query("SELECT count(*) FROM app.tasks WHERE status = 'completed'")[0][0] > 0)
        worker.stop()
    assert bus.query("SELECT count(*) FROM app.queue WHERE worker IS NOT NULL") == [(0,)]
    with running(bus.worker("next")):
        bus.wait_finished()
    assert statuses(bus) == ["completed"]
    assert events(bus, "task_completed") == 40


def test_a_message_carries_its_task_its_attempt_and_an_id_of_its_own(bus: Bus) -> None:
    made = bus.machine().submit("probe_light", {"name": "wire", "widths": [2, 0, 0]})
    bus.wait_sent()
    found = [json.loads(text) for text in bus.receive("vector-tasks")]
    assert found == [{"task_id": f"{made.job_id}-s1-{i}", "attempt": 1} for i in (0, 1)]


def test_what_people_open_again_is_sent_at_once(api: Api) -> None:
    """And not by the timer only: retry, resubmit and redrive commit open work beside the machine."""
    calls: list[str] = []
    worker = machine(api.runtime.pool, dispatch=lambda: calls.append("sent"))
    api.runtime.machine = worker
    job_id = api.submit("probe_light", name="again", behaviour="permanent")
    worker.drain(QUEUES, 10)
    admin = api.of("ada")
    for path in (f"/api/jobs/{job_id}/retry", f"/api/jobs/{job_id}/resubmit", "/api/admin/dead-letters/redrive"):
        calls.clear()
        answer = admin.post(path, json={"all": True} if path.endswith("redrive") else None)
        assert answer.status_code == 202, answer.text
        assert "sent" in calls, path
        worker.drain(QUEUES, 10)
