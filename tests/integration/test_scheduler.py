"""The local clock goes on, whatever a timer raises."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from composition import Runtime
from tests.support.api import Api, serve
from triggers.scheduler import Scheduler
from triggers.timers import TIMERS


class Noted:
    """A log that remembers failures and says when there were two of one timer."""

    def __init__(self) -> None:
        self.failed: list[dict] = []
        self.twice = threading.Event()

    def info(self, event: str, **fields: object) -> None:
        """Nothing."""

    def warning(self, event: str, **fields: object) -> None:
        self.failed.append({"event": event, **fields})
        names = [each["timer"] for each in self.failed]
        if len(set(names)) < len(names):
            self.twice.set()


@pytest.mark.parametrize("defect", [ValueError("a defect"), RecursionError("deep")])
def test_a_timer_that_raises_what_nobody_expected_is_told_and_fires_again(
    api: Api, monkeypatch: pytest.MonkeyPatch, defect: Exception
) -> None:
    monkeypatch.setenv("SWEEP_SCHEDULE", "* * * * * *")
    calls = iter([api.runtime])

    def runtime() -> Runtime:
        for first in calls:
            return first
        raise defect

    log = Noted()
    with Scheduler(runtime, log):
        assert log.twice.wait(30)
    assert {(each["event"], each["error"]) for each in log.failed} == {("timer_failed", str(defect))}


def test_every_timer_that_fires_on_several_hosts_at_once_does_its_work_once(api: Api, tmp_path: Path) -> None:
    api.submit(name="expired")
    api.claim()
    api.query("UPDATE app.queue SET visible_at = now() - interval '1 minute'")
    stranded = api.submit(name="stranded")
    api.query("DELETE FROM app.queue q USING app.jobs j WHERE j.job_key = q.job_key AND j.job_id = %s", stranded)
    old = api.submit(name="old")
    api.query("UPDATE app.jobs SET created_at = now() - interval '41 days' WHERE job_id = %s", old)
    assert api.of("ada").post(f"/api/jobs/{old}/cancel").status_code == 200
    api.query("UPDATE app.jobs SET finished_at = now() - interval '40 days' WHERE job_id = %s", old)
    with serve(api.db, tmp_path) as other, ThreadPoolExecutor(4) as hosts:
        runtimes = [api.runtime, other.runtime] * 2
        done = {timer.name: sum(hosts.map(timer.run, runtimes)) for timer in TIMERS}
    quiet = {"leftovers", "exports", "external_services", "heal", "curated_scheduler"}
    assert done == {timer.name: 0 if timer.name in quiet else 1 for timer in TIMERS}
    returned = "SELECT count(*) FROM app.job_events WHERE error_code = 'LEASE_EXPIRED'"
    assert api.query(returned) == [(1,)]
    assert api.query("SELECT count(*) FROM app.jobs WHERE job_type = 'reconcile'") == [(3,)]
    assert api.query("SELECT job_id FROM app.jobs WHERE archived_at IS NOT NULL") == [(old,)]
