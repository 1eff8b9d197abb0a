"""The registry of curated datasets: definitions, history, and which time of a schedule was acted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from psycopg.rows import class_row

from core.contracts.principals import Principal
from core.errors import Conflict, NotFound
from core.machine.store import Accepted, NewJob
from core.models.audit import AuditAction
from core.models.curated import CuratedDataset, CuratedUpdate
from infrastructure.postgres import audit
from infrastructure.postgres.job_store import submit_in
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("curated")
#: What the table is not made from.
_BESIDE = {"update_schedule", "enabled"}
_DEFINITION = {
    "dataset_id",
    "name",
    "description",
    "source_type",
    "source_url",
    "source_config",
    "update_strategy",
    "update_key",
    "target_table_name",
    "access_level",
    "system_role",
    "created_by",
} | _BESIDE


class PostgresCurated:
    """The registry over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def register(self, defined: CuratedDataset, by: Principal) -> CuratedDataset:
        """Keep a new dataset. Raises Conflict when its id, table or role is another's."""
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(CuratedDataset)) as cursor:
            _require_free(conn, defined, None)
            made = cursor.execute(_SQL["register"], _values(defined)).fetchone()
            if made is None:  # another registration came between
                raise Conflict(f"{defined.dataset_id} is registered already.", hint="Update that dataset.")
            audit.record(conn, by, AuditAction.CURATED_REGISTER, made.dataset_id, {"source_url": made.source_url})
            return made

    def dataset(self, dataset_id: str) -> CuratedDataset:
        """One dataset. Raises NotFound."""
        with connection(self._pool) as conn:
            return _one(conn, "dataset", dataset_id)

    def datasets(self, enabled: bool | None, after: str | None, limit: int) -> list[CuratedDataset]:
        """Datasets by id."""
        values = {"enabled": enabled, "after": after, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(CuratedDataset)) as cursor:
            return cursor.execute(_SQL["datasets"], values).fetchall()

    def change(
        self, dataset_id: str, change: Callable[[CuratedDataset], CuratedDataset], by: Principal
    ) -> CuratedDataset:
        """Change a definition. A table that was made by another one is loaded again at the next update.

        Raises NotFound, Conflict for a role that another has, and what `change` does.
        """
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(CuratedDataset)) as cursor:
            before = _one(conn, "lock_dataset", dataset_id)
            after = change(before)
            _require_free(conn, after, dataset_id)
            changed = [name for name in sorted(_DEFINITION) if getattr(before, name) != getattr(after, name)]
            made = cursor.execute(_SQL["change"], {**_values(after), "same": not set(changed) - _BESIDE}).fetchone()
            assert made is not None  # it is locked
            audit.record(conn, by, AuditAction.CURATED_UPDATE, dataset_id, {"changed": list(changed)})
            return made

    def delete(self, dataset_id: str, by: Principal) -> CuratedDataset:
        """Forget it with its history; its table stays. Raises NotFound, or Conflict while it is being updated."""
        with transaction(self._pool) as conn:
            _one(conn, "lock_dataset", dataset_id)
            running = conn.execute(_SQL["updating"], {"dataset_id": dataset_id}).fetchone()
            if running is not None:
                raise Conflict(f"Job {running[0]} is updating {dataset_id}.", hint="Wait for it, or cancel it.")
            gone = _one(conn, "delete", dataset_id)
            audit.record(conn, by, AuditAction.CURATED_DELETE, dataset_id, {"table": gone.target_table_name})
            return gone

    def history(self, dataset_id: str, before: int | None, limit: int) -> list[CuratedUpdate]:
        """Its latest updates, newest first."""
        values = {"dataset_id": dataset_id, "before": before, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(CuratedUpdate)) as cursor:
            return cursor.execute(_SQL["history"], values).fetchall()

    def scheduled(self) -> list[CuratedDataset]:
        """Datasets that the clock keeps up to date."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(CuratedDataset)) as cursor:
            return cursor.execute(_SQL["scheduled"]).fetchall()

    def submit_due(self, dataset_id: str, period: datetime, job: NewJob) -> Accepted | None:
        """Accept the job of a time of the schedule; None when somebody acted on that time before."""
        with transaction(self._pool) as conn:
            return submit_in(conn, job) if _taken(conn, dataset_id, period) else None

    def refuse_due(self, dataset_id: str, period: datetime, reason: str) -> None:
        """Write down, once for that time, that no job could be submitted; somebody is told."""
        with transaction(self._pool) as conn:
            if _taken(conn, dataset_id, period):
                conn.execute(_SQL["refused"], {"dataset_id": dataset_id, "period": period, "reason": reason})

    def updating(self, dataset_id: str) -> str | None:
        """The job of the earliest update that has not ended."""
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["updating"], {"dataset_id": dataset_id}).fetchone()
            return row[0] if row else None

    def under_review(self, table: str) -> bool:
        """True while a revision of the table waits for a decision."""
        with connection(self._pool) as conn:
            return conn.execute(_SQL["under_review"], {"table": table}).fetchone() == (True,)


def _one(conn: Connection, block: str, dataset_id: str) -> CuratedDataset:
    with conn.cursor(row_factory=class_row(CuratedDataset)) as cursor:
        found = cursor.execute(_SQL[block], {"dataset_id": dataset_id}).fetchone()
    if found is None:
        raise NotFound(f"There is no curated dataset {dataset_id!r}.", hint="GET /api/curated/datasets lists them.")
    return found


def _require_free(conn: Connection, defined: CuratedDataset, but: str | None) -> None:
    taken = conn.execute(_SQL["taken_by"], {**_values(defined), "but": but}).fetchone()
    if taken is not None:
        raise Conflict(
            f"Curated dataset {taken[0]} has this dataset_id, target_table_name or system_role already.",
            hint="Change or delete that dataset.",
        )


def _taken(conn: Connection, dataset_id: str, period: datetime) -> bool:
    row = conn.execute(_SQL["take_period"], {"dataset_id": dataset_id, "period": period}).fetchone()
    return row is not None


def _values(defined: CuratedDataset) -> dict[str, object]:
    documents = {"source_config": json.dumps(defined.source_config), "update_key": json.dumps(defined.update_key)}
    return {**defined.model_dump(include=_DEFINITION), **documents}
