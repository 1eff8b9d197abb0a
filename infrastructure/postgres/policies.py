"""Approval policies: who has to approve what."""

from __future__ import annotations

from psycopg.rows import dict_row

from core.contracts.principals import Principal
from core.errors import NotFound
from core.models.audit import AuditAction
from core.models.policies import ApprovalPolicy
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("policies")


class PostgresPolicies:
    """Policies over a pool; every change is in the audit log with what it replaced."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def all(self) -> list[ApprovalPolicy]:
        """Every stored policy, by scope."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return [ApprovalPolicy.model_validate(row) for row in cursor.execute(_SQL["all"])]

    def put(self, policy: ApprovalPolicy, by: Principal) -> ApprovalPolicy:
        """Store or replace one."""
        with transaction(self._pool) as conn:
            row = conn.execute(_SQL["put"], policy.model_dump(mode="json")).fetchone()
            assert row is not None  # it was written
            audit.record(conn, by, AuditAction.POLICY_CHANGE, policy.scope, {"new": row[0], "old": row[1]})
            return ApprovalPolicy.model_validate(row[0])

    def delete(self, scope: str, by: Principal) -> ApprovalPolicy:
        """Forget one; wider ones decide again. Raises NotFound."""
        with transaction(self._pool) as conn:
            row = conn.execute(_SQL["delete"], {"scope": scope}).fetchone()
            if row is None:
                raise NotFound(f"There is no policy {scope[:100]!r}.")
            audit.record(conn, by, AuditAction.POLICY_CHANGE, scope, {"new": None, "old": row[0]})
            return ApprovalPolicy.model_validate(row[0])
