"""What happens by the clock? One table, for the Function App's decorators and the local scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composition import Runtime


@dataclass(frozen=True)
class Timer:
    """A timer. Its schedule is NCRONTAB: six fields, seconds first; the setting overrides the default.

    Firing twice, or on two hosts at once, does its work once.
    """

    name: str
    setting: str
    schedule: str
    run: Callable[[Runtime], int]


def _sweep(runtime: Runtime) -> int:
    return runtime.machine.sweep()


def _janitor(runtime: Runtime) -> int:
    return runtime.machine.mend()


def _retention(runtime: Runtime) -> int:
    retention = runtime.settings.retention
    return runtime.machine.retain(retention.archive_days, retention.drop_days)


def _leftovers(runtime: Runtime) -> int:
    return runtime.tables.drop_abandoned()


TIMERS: tuple[Timer, ...] = (
    Timer("sweep", "SWEEP_SCHEDULE", "0 * * * * *", _sweep),
    Timer("janitor", "JANITOR_SCHEDULE", "30 * * * * *", _janitor),
    Timer("retention", "RETENTION_SCHEDULE", "0 15 * * * *", _retention),
    Timer("leftovers", "LEFTOVERS_SCHEDULE", "0 */10 * * * *", _leftovers),
)
