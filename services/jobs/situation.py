"""What does a job wait for, how far is it, and when will it be done? Worked out from its counters and open items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from core.contracts.situations import OpenItem, OpenState, Situation, StageProgress, WaitingFor, WaitingReason
from core.machine.identity import ADVANCE
from core.states import JobStatus, terminal_job_statuses

_LONGEST = timedelta(days=3650)


def situation(
    status: JobStatus, total_stages: int, stages: Sequence[StageProgress], item: OpenItem | None, now: datetime
) -> Situation:
    """How a job stands. `item` is its most telling piece of open work."""
    if status in terminal_job_statuses():
        done = status in (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS)
        return Situation(
            waiting_for=None,
            progress=100.0 if done else round(_share(total_stages, stages) * 100, 1),
            eta=None,
            queue_position=None,
        )
    return Situation(
        waiting_for=waiting_for(item),
        progress=round(min(_share(total_stages, stages) * 100, 99.9), 1),
        eta=_eta(total_stages, stages, now),
        queue_position=item.ahead + 1 if item is not None and item.state is OpenState.DUE else None,
    )


def waiting_for(item: OpenItem | None) -> WaitingFor:
    """Why the item, or a job that has none, is not done yet."""
    if item is None:
        return WaitingFor(reason=WaitingReason.NOTHING, message="No open work is left; the janitor will repair this.")
    reason, message = _reason(item)
    leased = item.state in (OpenState.RUNNING, OpenState.EXPIRED)
    due = item.state is OpenState.DUE
    return WaitingFor(
        reason=reason,
        message=message,
        queue=item.queue,
        stage=item.stage,
        task_index=None if item.task_index == ADVANCE else item.task_index,
        items_ahead=item.ahead if due else None,
        worker=item.worker,
        since=item.started_at if leased else None,
        until=None if due else item.visible_at,
        error_code=item.error_code if item.failures else None,
    )


def _reason(item: OpenItem) -> tuple[WaitingReason, str]:
    advance = item.task_index == ADVANCE
    moment = item.visible_at.isoformat(timespec="seconds")
    match item.state:
        case OpenState.RUNNING if advance:
            return WaitingReason.ADVANCE, f"Stage {item.stage} is done; worker {item.worker} plans what follows."
        case OpenState.RUNNING:
            return WaitingReason.RUNNING, f"Running on worker {item.worker}."
        case OpenState.EXPIRED:
            return (
                WaitingReason.LEASE_EXPIRED,
                f"Worker {item.worker} went silent; its lease ran out at {moment} and the work is being taken back.",
            )
        case OpenState.DUE if advance and not item.ahead:
            return WaitingReason.ADVANCE, f"Stage {item.stage} is done; the next worker plans what follows."
        case OpenState.DUE:
            return WaitingReason.QUEUED, f"Waits in {item.queue} behind {item.ahead} items."
        case OpenState.LATER if item.failures:
            return WaitingReason.RETRY, f"Tries again at {moment} after {item.error_code or 'a failed attempt'}."
        case OpenState.LATER:
            return WaitingReason.SCHEDULED, f"Is due at {moment}."
        case _:
            assert_never(item.state)


def _share(total_stages: int, stages: Sequence[StageProgress]) -> float:
    return min(sum(map(_stage_share, stages)) / max(total_stages, 1), 1.0)


def _stage_share(stage: StageProgress) -> float:
    if stage.expected == 0:
        return 1.0
    return min((stage.expected - stage.remaining + stage.running) / stage.expected, 1.0)


def _eta(total_stages: int, stages: Sequence[StageProgress], now: datetime) -> datetime | None:
    """The running stage goes on at the rate it had; stages not planned yet take what the known ones take on average."""
    if not stages:
        return None
    running, earlier = stages[-1], stages[:-1]
    share = _stage_share(running)
    if share <= 0:
        return None
    elapsed = (running.finished_at or now) - running.started_at
    whole = elapsed / share
    known = [whole, *((s.finished_at or now) - s.started_at for s in earlier)]
    later = sum(known, timedelta()) / len(known) * (total_stages - len(stages))
    return now + min(max(whole - elapsed, timedelta()) + later, _LONGEST)
