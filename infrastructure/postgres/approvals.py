"""Approval records, and the one transaction that publishes."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.rows import dict_row

from core.errors import Conflict, NotFound
from core.models.approvals import DatasetApproval, ReviewedItemState
from infrastructure.pgstac import set_item_published
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("approvals")
_PGSTAC = Queries("pgstac")


class PostgresApprovals:
    """Records over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def page(self, *, status: str | None, classification: str | None, limit: int, offset: int) -> list[DatasetApproval]:
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

    def items(self, approval_id: str) -> list[tuple[str, str, ReviewedItemState]]:
        """What a review covers: collection, item and what the review has to do with it."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["items"], {"approval_id": approval_id})
            return [(collection, item, ReviewedItemState(state)) for collection, item, state in rows]

    def approve(self, approval_id: str, reviewer: str, notes: str | None) -> DatasetApproval:
        """Accept and publish in one transaction. Raises NotFound or Conflict; two approvers cannot both succeed."""
        with transaction(self._pool) as conn:
            _hold(conn, approval_id)
            _pending(conn, approval_id, "approve")
            parameters = {"approval_id": approval_id, "reviewer": reviewer, "notes": notes}
            approved = _one(conn, "approve", parameters)
            assert approved is not None and approved.reviewed_at is not None  # the record is locked and was pending
            _publish(conn, approved, reviewer)
            return approved

    def reject(self, approval_id: str, reviewer: str, reason: str) -> DatasetApproval:
        """Refuse with a reason. Raises NotFound or Conflict."""
        with transaction(self._pool) as conn:
            _pending(conn, approval_id, "reject")
            rejected = _one(conn, "reject", {"approval_id": approval_id, "reviewer": reviewer, "reason": reason})
            assert rejected is not None  # the record is locked and was pending
            return rejected


def _publish(conn: Connection, approved: DatasetApproval, by: str) -> None:
    """Show every item that the review still decides on, with its tables."""
    key, moment = {"approval_id": approved.approval_id}, approved.reviewed_at
    assert moment is not None  # it is approved
    for collection, item, state in conn.execute(_SQL["items"], key).fetchall():
        if state == ReviewedItemState.OPEN:
            names = {"collection_id": collection, "item_id": item}
            set_item_published(conn, **names, published_at=moment, approved_by=by)
            conn.execute(_SQL["publish_tables"], {**names, "published": True, "moment": moment})
    conn.execute(_SQL["take_over_published"], key)
    conn.execute(_SQL["items_published"], key)


def _hold(conn: Connection, approval_id: str) -> None:
    """Let nobody else write the collections of the review's items, before its record is locked: one order for all."""
    collections = {collection for collection, _, _ in conn.execute(_SQL["items"], {"approval_id": approval_id})}
    for collection in sorted(collections):
        conn.execute(_PGSTAC["lock_collection"], {"collection_id": collection})


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
