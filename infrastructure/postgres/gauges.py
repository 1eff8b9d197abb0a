"""How does the whole system stand, in figures? What the database knows and no single process does."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("gauges")


@dataclass(frozen=True)
class Gauge:
    """One figure. Ages are seconds; `part` is a queue or a topic, `state` what is counted."""

    name: str
    part: str | None
    state: str | None
    value: float


class Gauges:
    """Figures over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def read(self) -> list[Gauge]:
        """All of them, in one statement."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Gauge)) as cursor:
            return cursor.execute(_SQL["gauges"]).fetchall()
