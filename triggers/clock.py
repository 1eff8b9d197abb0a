"""When is a timer due? NCRONTAB read in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from croniter import CroniterError, croniter

import config
from core.errors import ConfigurationError

#: Two hosts' clocks, and a clock and its own alarm, differ by less.
_TOLERANCE = timedelta(seconds=5)


def chosen(setting: str, default: str) -> str:
    """A timer's NCRONTAB expression. Raises ConfigurationError for one that means nothing, or never."""
    schedule = config.schedule(setting, default)
    try:
        if len(schedule.split()) != 6:
            raise CroniterError
        following(schedule, datetime.now(UTC))
    except CroniterError:
        raise ConfigurationError(
            f"{setting} is {schedule!r}, which is no NCRONTAB expression or is never due.",
            hint="Write six fields, seconds first, as `0 */5 * * * *` for every five minutes.",
        ) from None
    return schedule


def following(schedule: str, after: datetime) -> datetime:
    """When it is due next."""
    found: datetime = _times(schedule, after).get_next(datetime)
    return found


def occurrence(schedule: str, fired: datetime | None = None) -> datetime:
    """The time for which a timer fires now: the same on every host, however late one is."""
    found: datetime = _times(schedule, (fired or datetime.now(UTC)) + _TOLERANCE).get_prev(datetime)
    return found


def _times(schedule: str, start: datetime) -> croniter:
    # NCRONTAB wants day of month and day of week both to match, where Unix takes either.
    return croniter(schedule, start, second_at_beginning=True, day_or=False)
