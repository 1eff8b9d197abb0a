"""The local clock goes on, whatever a timer raises."""

from __future__ import annotations

import threading

import pytest

from composition import Runtime
from tests.support.api import Api
from triggers.scheduler import Scheduler


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
