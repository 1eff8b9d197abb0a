from datetime import UTC, datetime, timedelta

import pytest

from core.contracts.situations import OpenItem, OpenState, StageProgress, WaitingReason
from core.errors import InvalidRequest
from core.states import JobStatus
from services.jobs.situation import situation, waiting_for
from triggers.http.paging import cursor, position

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def item(state: OpenState, **changes: object) -> OpenItem:
    facts = {
        "queue": "vector-tasks",
        "stage": 1,
        "task_index": 0,
        "failures": 0,
        "worker": None,
        "visible_at": NOW,
        "started_at": None,
        "error_code": None,
    }
    return OpenItem(state=state, **{**facts, **changes})


def stage(
    expected: int, remaining: int, *, running: float = 0, begun: int = 10, ended: int | None = None
) -> StageProgress:
    return StageProgress(
        expected, remaining, running, NOW - begun * MINUTE, None if ended is None else NOW - ended * MINUTE
    )


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        (OpenState.RUNNING, {"worker": "w"}, WaitingReason.RUNNING),
        (OpenState.RUNNING, {"worker": "w", "task_index": -1}, WaitingReason.ADVANCE),
        (OpenState.EXPIRED, {"worker": "w"}, WaitingReason.LEASE_EXPIRED),
        (OpenState.DUE, {"ahead": 3}, WaitingReason.QUEUED),
        (OpenState.DUE, {"task_index": -1}, WaitingReason.ADVANCE),
        (OpenState.DUE, {"task_index": -1, "ahead": 2}, WaitingReason.QUEUED),
        (OpenState.LATER, {"failures": 1, "error_code": "X"}, WaitingReason.RETRY),
        (OpenState.LATER, {}, WaitingReason.SCHEDULED),
    ],
)
def test_each_state_of_open_work_has_its_reason(state: OpenState, changes: dict, reason: WaitingReason) -> None:
    found = waiting_for(item(state, **changes))
    assert found.reason is reason
    assert found.message.endswith(".")


def test_no_open_work_is_said_to_be_an_error() -> None:
    assert waiting_for(None).reason is WaitingReason.NOTHING


def test_progress_counts_stages_alike_and_running_tasks_in_part() -> None:
    stages = [stage(1, 0, begun=20, ended=10), stage(4, 2, running=1.0)]
    assert situation(JobStatus.PROCESSING, 4, stages, item(OpenState.RUNNING), NOW).progress == pytest.approx(
        43.8, abs=0.1
    )


def test_an_unfinished_job_is_never_at_a_hundred_and_a_finished_one_is() -> None:
    stages = [stage(1, 0, ended=1)]
    assert situation(JobStatus.PROCESSING, 1, stages, None, NOW).progress == 99.9
    assert situation(JobStatus.COMPLETED, 1, stages, None, NOW).progress == 100


def test_a_failed_job_keeps_the_progress_it_had_and_waits_for_nothing() -> None:
    found = situation(JobStatus.FAILED, 2, [stage(4, 2)], None, NOW)
    assert (found.progress, found.waiting_for, found.eta) == (25, None, None)


def test_the_eta_goes_on_at_the_rate_so_far() -> None:
    found = situation(JobStatus.PROCESSING, 1, [stage(100, 75)], item(OpenState.RUNNING), NOW)
    assert found.eta == NOW + 30 * MINUTE


def test_stages_to_come_take_what_the_known_ones_take_on_average() -> None:
    stages = [stage(1, 0, begun=30, ended=10), stage(2, 1, begun=10)]
    assert (
        situation(JobStatus.PROCESSING, 3, stages, item(OpenState.RUNNING), NOW).eta == NOW + 10 * MINUTE + 20 * MINUTE
    )


def test_without_a_finished_task_there_is_no_eta() -> None:
    assert situation(JobStatus.QUEUED, 1, [stage(5, 5)], item(OpenState.DUE), NOW).eta is None


def test_a_cursor_is_good_for_its_own_list_only() -> None:
    text = cursor("tasks", 2, 17)
    assert position("tasks", text, 2) == (2, 17)
    assert position("tasks", None, 2) is None
    for kind, given, length in (("events", text, 2), ("tasks", text, 1), ("tasks", text + "!", 2), ("tasks", "", 2)):
        with pytest.raises(InvalidRequest, match="cursor"):
            position(kind, given, length)
