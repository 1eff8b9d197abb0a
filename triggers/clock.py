"""When is a timer due? NCRONTAB read in one place."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from croniter import CroniterError, croniter

import config
from core.errors import ConfigurationError, InvalidRequest

#: Two hosts' clocks, and a clock and its own alarm, differ by less.
_TOLERANCE = timedelta(seconds=5)
#: croniter's own: a moment that every host would choose for itself.
_RANDOM = re.compile("(?<![a-z])r(?![a-z])", re.IGNORECASE)


def chosen(setting: str, default: str) -> str:
    """A timer's NCRONTAB expression. Raises ConfigurationError for one that means nothing, or never."""
    schedule = config.schedule(setting, default)
    try:
        following(schedule, datetime.now(UTC))
    except InvalidRequest:
        raise ConfigurationError(
            f"{setting} is {schedule!r}, which is no NCRONTAB expression or is never due.",
            hint="Write six fields, seconds first, as `0 */5 * * * *` for every five minutes.",
        ) from None
    return schedule


def following(schedule: str, after: datetime) -> datetime:
    """When it is due next. Raises InvalidRequest for what is no schedule."""
    return _time(schedule, after, is_prev=False)


def occurrence(schedule: str, fired: datetime | None = None) -> datetime:
    """The time for which a timer fires now: the same on every host, however late one is. Raises as `following` does."""
    return _time(schedule, (fired or datetime.now(UTC)) + _TOLERANCE, is_prev=True)


def _time(schedule: str, start: datetime, *, is_prev: bool) -> datetime:
    try:
        if len(schedule.split()) != 6 or _RANDOM.search(schedule):
            raise CroniterError("it takes six fields, none of them random")
        # NCRONTAB wants day of month and day of week both to match, where Unix takes either.
        times = croniter(schedule, start, second_at_beginning=True, day_or=False)
        found: datetime = times.get_prev(datetime) if is_prev else times.get_next(datetime)
    except CroniterError as e:
        raise InvalidRequest(
            f"{schedule[:100]!r} is no schedule: {e}.",
            hint="Give six fields, seconds first: 0 0 2 * * 1 is two o'clock on Mondays.",
        ) from e
    return found
