"""What the database is doing now: statements, locks, sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infrastructure.administration.reading import reading, rows
from infrastructure.postgres.pool import Pool
from infrastructure.postgres.queries import Queries

_SQL = Queries("admin_activity")
_AT_MOST = 200  #: rows of an answer


@dataclass(frozen=True)
class Running:
    """A session at work, or idle in a transaction. `blocked_by` are the sessions it waits for."""

    pid: int
    application: str | None
    role: str | None
    state: str | None
    waits_for: str | None
    seconds: float | None
    transaction_seconds: float | None
    blocked_by: Sequence[int]
    query: str | None


@dataclass(frozen=True)
class Waiting:
    """A session that waits for a lock on `object`."""

    pid: int
    application: str | None
    mode: str
    object: str
    seconds: float | None
    blocked_by: Sequence[int]
    query: str | None


@dataclass(frozen=True)
class Sessions:
    """Sessions of one program in one state."""

    application: str | None
    role: str | None
    state: str
    sessions: int
    longest_seconds: float | None


class DatabaseActivity:
    """Looks over a pool; changes nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def running(self, seconds: float = 0.0) -> list[Running]:
        """Statements that have run for so long, the longest first."""
        with reading(self._pool) as conn:
            return rows(conn, Running, _SQL["running"], {"seconds": seconds, "limit": _AT_MOST})

    def locks(self) -> list[Waiting]:
        """Sessions that wait for others, the longest first."""
        with reading(self._pool) as conn:
            return rows(conn, Waiting, _SQL["locks"], {"limit": _AT_MOST})

    def connections(self) -> list[Sessions]:
        """Who is connected."""
        with reading(self._pool) as conn:
            return rows(conn, Sessions, _SQL["connections"], {"limit": _AT_MOST})
