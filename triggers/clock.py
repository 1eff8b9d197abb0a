"""When is a timer due? NCRONTAB read in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from croniter import croniter

#: Two hosts' clocks, and a clock and its own alarm, differ by less.
_TOLERANCE = timedelta(seconds=5)


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
