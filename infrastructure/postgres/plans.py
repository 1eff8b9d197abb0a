"""Dry runs that were kept, and how long such jobs took."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta

from psycopg.rows import class_row, dict_row
from pydantic import JsonValue, TypeAdapter

from core.contracts.plans import PlannedSource, StoredPlan, Timing
from infrastructure.postgres.pool import Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("plans")
_SOURCES = TypeAdapter(tuple[PlannedSource, ...])


class PostgresPlans:
    """The PlanStore over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def save(
        self,
        request: dict[str, JsonValue],
        job_id: str,
        sources: Sequence[PlannedSource],
        *,
        by: str,
        keep: timedelta,
    ) -> StoredPlan:
        """Keep a plan for some time; expired ones are dropped."""
        values = {
            "plan_id": f"pln-{secrets.token_hex(16)}",
            "request": json.dumps(request),
            "job_id": job_id,
            "sources": _SOURCES.dump_json(tuple(sources)).decode(),
            "submitted_by": by,
            "keep": keep,
        }
        with transaction(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(_SQL["drop_expired"])
            row = cursor.execute(_SQL["save_plan"], values).fetchone()
        assert row is not None  # an INSERT that returns its row
        return _plan(row)

    def plan(self, plan_id: str) -> StoredPlan | None:
        """The plan of that id, unless it has expired."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_SQL["plan"], {"plan_id": plan_id}).fetchone()
        return _plan(row) if row else None

    def timing(self, job_type: str) -> Timing:
        """How long the last jobs of a type took."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Timing)) as cursor:
            found = cursor.execute(_SQL["timing"], {"job_type": job_type}).fetchone()
        assert found is not None  # an aggregate has a row
        return found


def _plan(row: Mapping[str, object]) -> StoredPlan:
    return StoredPlan(**{**row, "sources": _SOURCES.validate_python(row["sources"])})  # type: ignore[arg-type]  # its columns
