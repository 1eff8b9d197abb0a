"""The audit log: written by the transaction that does the deed, read by admins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql
from psycopg.rows import dict_row
from pydantic import JsonValue

from core.contracts.principals import Principal
from core.models.audit import AuditAction, AuditEntry
from infrastructure.postgres.pool import Connection, Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("audit")


def record(
    conn: Connection,
    by: Principal,
    action: AuditAction,
    object_id: str | int,
    details: Mapping[str, JsonValue] | None = None,
) -> None:
    """Write down who did what, inside the caller's transaction. `details` must hold no secret."""
    conn.execute(
        _SQL["record"],
        {
            "actor": by.name,
            "client_id": by.client_id,
            "credential": by.credential,
            "address": by.address,
            "request_id": by.request_id,
            "action": action.value,
            "object_type": action.object_type,
            "object_id": str(object_id),
            "details": json.dumps(dict(details or {})),
        },
    )


@dataclass(frozen=True)
class AuditFilter:
    """Which deeds; what is None does not matter. `before` is the number of the last one seen."""

    actor: str | None = None
    client_id: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


class AuditLog:
    """The log over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def write(
        self, by: Principal, action: AuditAction, object_id: str, details: Mapping[str, JsonValue] | None = None
    ) -> None:
        """Write down a deed that was not done in this database."""
        with connection(self._pool) as conn:
            record(conn, by, action, object_id, details)

    def entries(self, wanted: AuditFilter, limit: int) -> list[AuditEntry]:
        """Deeds, newest first."""
        given = {name: value for name, value in vars(wanted).items() if value is not None}
        conditions = sql.SQL(" ").join(sql.SQL(_SQL[f"with_{name}"]) for name in given)
        statement = sql.SQL(_SQL["entries"]).format(conditions=conditions)
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(statement, {**given, "limit": limit}, prepare=False)
            return [AuditEntry.model_validate(row) for row in rows]
