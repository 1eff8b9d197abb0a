"""Approval records, and the one transaction that publishes."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.rows import dict_row

from core.errors import Conflict, NotFound
from core.models.approvals import DatasetApproval
from infrastructure.pgstac import set_item_published
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("approvals")


class PostgresApprovals:
    """Records over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def list(self, *, status: str | None, classification: str | None, limit: int, offset: int) -> list[DatasetApproval]:
        """Records, newest first."""
        parameters = {"status": status, "classification": classification, "limit": limit, "offset": offset}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return [DatasetApproval.model_validate(row) for row in cursor.execute(_SQL["list"], parameters)]

    def counts(self) -> dict[str, int]:
        """How many records are in each state."""
        with connection(self._pool) as conn:
            return {str(status): int(count) for status, count in conn.execute(_SQL["counts"])}

    def get(self, approval_id: str) -> DatasetApproval:
        """One record. Raises NotFound."""
        with connection(self._pool) as conn:
            found = _one(conn, "get", {"approval_id": approval_id})
        if found is None:
            raise NotFound(f"There is no approval {approval_id!r}.")
        return found

    def of_job(self, job_id: str) -> DatasetApproval | None:
        """The record that a job's result opened."""
        with connection(self._pool) as conn:
            return _one(conn, "of_job", {"job_id": job_id})

    def approve(self, approval_id: str, reviewer: str, notes: str | None) -> DatasetApproval:
        """Accept and publish in one transaction. Raises NotFound or Conflict; two approvers cannot both succeed."""
        with transaction(self._pool) as conn:
            _pending(conn, approval_id, "approve")
            parameters = {"approval_id": approval_id, "reviewer": reviewer, "notes": notes}
            approved = _one(conn, "approve", parameters)
            assert approved is not None and approved.reviewed_at is not None  # the record is locked and was pending
            item = {"collection_id": approved.stac_collection_id, "item_id": approved.stac_item_id}
            set_item_published(conn, **item, published_at=approved.reviewed_at, approved_by=reviewer)
            conn.execute(_SQL["publish_tables"], {**item, "published_at": approved.reviewed_at})
            return approved

    def reject(self, approval_id: str, reviewer: str, reason: str) -> DatasetApproval:
        """Refuse with a reason. Raises NotFound or Conflict."""
        with transaction(self._pool) as conn:
            _pending(conn, approval_id, "reject")
            rejected = _one(conn, "reject", {"approval_id": approval_id, "reviewer": reviewer, "reason": reason})
            assert rejected is not None  # the record is locked and was pending
            return rejected


def _pending(conn: Connection, approval_id: str, verb: str) -> None:
    record = _one(conn, "lock", {"approval_id": approval_id})
    if record is None:
        raise NotFound(f"There is no approval {approval_id!r}.")
    if record.status != "pending":
        raise Conflict(f"Cannot {verb}: status is '{record.status}', expected 'pending'.")


def _one(conn: Connection, name: str, parameters: Mapping[str, object]) -> DatasetApproval | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL[name], parameters).fetchone()
    return DatasetApproval.model_validate(row) if row else None
