"""What a partner or an operator asks about many jobs at once: what fails, and how busy is the machine?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("reports")
_PATTERNS = 20  #: kinds of failure told at once


@dataclass(frozen=True)
class FailurePattern:
    """Runs that failed alike. `example` is the newest one's message."""

    fingerprint: str
    error_code: str | None
    job_type: str
    count: int
    first_seen: datetime
    last_seen: datetime
    example: str | None
    hint: str | None
    job_ids: list[str]


@dataclass(frozen=True)
class FailedRun:
    """One failed run, and the request it was for when a partner asked for it."""

    job_id: str
    run: int
    job_type: str
    stage: int
    error_code: str | None
    error_message: str | None
    error_hint: str | None
    failed_at: datetime
    request_id: str | None
    dataset_id: str | None
    resource_id: str | None
    version_id: str | None
    source_container: str | None
    source_path: str | None


@dataclass(frozen=True)
class Failures:
    """How the runs that ended in a period went wrong."""

    total_jobs: int
    total_failures: int
    patterns: list[FailurePattern]
    latest: list[FailedRun]


@dataclass(frozen=True)
class Throughput:
    """Jobs not begun, those at work, those that ended within 24 hours, and how long a success took on average."""

    queue_backlog: int
    processing: int
    failed_last_24h: int
    completed_last_24h: int
    avg_completion_minutes: float | None


class Reports:
    """Queries over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def failures(self, hours: int, limit: int, submitted_by: str | None) -> Failures:
        """What failed within the last hours, of one submitter or of all."""
        values = {"hours": hours, "limit": limit, "submitted_by": submitted_by}
        with connection(self._pool) as conn, conn.transaction():
            counted = conn.execute(_SQL["failures_counted"], values).fetchone() or (0, 0)
            with conn.cursor(row_factory=class_row(FailurePattern)) as cursor:
                patterns = cursor.execute(_SQL["failures_grouped"], {**values, "limit": _PATTERNS}).fetchall()
            with conn.cursor(row_factory=class_row(FailedRun)) as runs:
                latest = runs.execute(_SQL["failures_latest"], values).fetchall()
        return Failures(int(counted[0]), int(counted[1]), patterns, latest)

    def throughput(self) -> Throughput:
        """How busy the machine is."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Throughput)) as cursor:
            found = cursor.execute(_SQL["throughput"]).fetchone()
        assert found is not None  # an aggregate has a row
        return found
