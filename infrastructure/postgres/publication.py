"""What the public sees, changed inside the transaction that decides it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pydantic import JsonValue

from core.errors import NotFound
from core.models.approvals import DatasetApproval, ReviewedItemState
from infrastructure.postgres import revisions
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("decisions")
_PGSTAC = Queries("pgstac")
_REVOKED = ("app:revoked", "app:revoked_at", "app:revoked_by", "app:revocation_reason")
_PUBLISHED = ("app:published_at", "app:approved_by")


def hold_collections(conn: Connection, approval_id: str) -> None:
    """Let nobody else write the collections of the review's items.

    Always before the record is locked, and in one order: whoever writes items takes these locks first.
    """
    for (collection,) in conn.execute(_SQL["collections"], {"approval_id": approval_id}).fetchall():
        conn.execute(_PGSTAC["lock_collection"], {"collection_id": collection})


def publish(conn: Connection, approved: DatasetApproval) -> None:
    """Show every item that the review still decides on, with its tables. Raises NotFound when one is gone."""
    key = {"approval_id": approved.approval_id}
    revisions.put_in_place(conn, approved.approval_id)
    gone = conn.execute(_SQL["missing_items"], key).fetchall()
    if gone:
        names = ", ".join(f"{collection}/{item}" for collection, item in gone[:5])
        raise NotFound(f"{len(gone)} STAC items are gone, so this cannot be published: {names}.")
    assert approved.reviewed_at is not None  # the database has it so for an approved record
    moment = approved.reviewed_at
    marks: dict[str, JsonValue] = {
        "app:published": True,
        "app:published_at": _stamp(moment),
        "app:approved_by": approved.reviewer,
    }
    _mark(conn, approved, ReviewedItemState.OPEN, marks, _REVOKED, moment)
    conn.execute(_SQL["take_over_published"], key)
    _settle(conn, approved, ReviewedItemState.OPEN, ReviewedItemState.PUBLISHED)


def withdraw(conn: Connection, revoked: DatasetApproval) -> None:
    """Hide everything that the review published."""
    assert revoked.revoked_at is not None  # the database has it so for a revoked record
    marks: dict[str, JsonValue] = {
        "app:published": False,
        "app:revoked": True,
        "app:revoked_at": _stamp(revoked.revoked_at),
        "app:revoked_by": revoked.revoked_by,
        "app:revocation_reason": revoked.revocation_reason,
    }
    _mark(conn, revoked, ReviewedItemState.PUBLISHED, marks, _PUBLISHED, None)
    _settle(conn, revoked, ReviewedItemState.PUBLISHED, ReviewedItemState.WITHDRAWN)


def _mark(
    conn: Connection,
    record: DatasetApproval,
    state: ReviewedItemState,
    marks: dict[str, JsonValue],
    without: tuple[str, ...],
    moment: datetime | None,
) -> None:
    values = {"approval_id": record.approval_id, "state": state.value}
    conn.execute(_SQL["mark_items"], {**values, "properties": json.dumps(marks), "without": list(without)})
    conn.execute(_SQL["mark_tables"], {**values, "published": moment is not None, "moment": moment})


def _settle(conn: Connection, record: DatasetApproval, state: ReviewedItemState, after: ReviewedItemState) -> None:
    values = {"approval_id": record.approval_id, "state": state.value, "after": after.value}
    conn.execute(_SQL["settle_items"], values)


def _stamp(moment: datetime) -> str:
    """RFC 3339 in UTC, as STAC wants it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
