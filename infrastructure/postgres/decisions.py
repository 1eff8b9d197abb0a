"""Decisions on what is published. Each is one transaction: record, catalogue, history and audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from psycopg.rows import dict_row
from pydantic import JsonValue

from core.contracts.approvals import Reviewer, require_other_eyes
from core.contracts.evidence import Reviewed
from core.contracts.principals import SYSTEM
from core.errors import ApprovalFailed, GeomachineError, NotFound, RevocationFailed
from core.models.approvals import DatasetApproval
from core.models.audit import AuditAction
from core.models.platform import AccessLevel
from core.models.policies import ApprovalPolicy
from core.states import ApprovalStatus
from infrastructure.postgres import audit, publication
from infrastructure.postgres.approvals import one
from infrastructure.postgres.evidence import reviewed
from infrastructure.postgres.job_operations import tell
from infrastructure.postgres.pool import Connection, Pool, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("decisions")
_EXPORTS = Queries("exports")

#: Why a person has to look at a revision; nothing where a policy may approve it.
Judge = Callable[[DatasetApproval, Reviewed, ApprovalPolicy], Sequence[str]]


@dataclass(frozen=True)
class Decided:
    """A record after a decision. Where several reviewers are asked it stays pending until the last consents."""

    approval: DatasetApproval
    given: int = 1
    required: int = 1
    exported: bool = False  #: a run of the Data Factory follows


class Decisions:
    """Commands over a pool. `fallback` is the policy where none is stored, `judge` tells what policies may approve.

    With `exports` public data is sent out.
    """

    def __init__(self, pool: Pool, fallback: ApprovalPolicy, judge: Judge, *, exports: bool) -> None:
        self._exports = exports
        self._judge = judge
        self._pool = pool
        self.fallback = fallback

    def approve(self, approval_id: str, who: Reviewer, notes: str | None) -> Decided:
        """Consent; the last consent that the policy asks for publishes.

        Raises NotFound, Forbidden for the submitter, or ApprovalFailed; of two who are the last, one gets that.
        """
        with transaction(self._pool) as conn:
            record = self._pending(conn, approval_id, "approve")
            policy = self._policy(conn, record)
            require_other_eyes(who, record, policy)
            values = {"approval_id": approval_id, "reviewer": who.name, "notes": notes}
            if policy.required_approvals > 1:
                conn.execute(_SQL["vote"], values)
                given = _count(conn, "count_votes", approval_id)
                if given < policy.required_approvals:
                    _write_down(conn, AuditAction.APPROVAL_APPROVE, who, record, {"given": given})
                    return Decided(record, given, policy.required_approvals)
            approved, exported = self._publish(conn, approval_id, who, notes)
            return Decided(approved, policy.required_approvals, policy.required_approvals, exported)

    def follow_policy(self, payload: Mapping[str, JsonValue]) -> None:
        """Approve what the policy may approve; leave the rest to people and say why. What is decided stays."""
        approval_id = str(payload["approval_id"])
        try:
            reasons = self._approve_by_policy(approval_id)
        except (ApprovalFailed, NotFound) as e:  # it cannot be put in place, whoever asks
            reasons = [e.message]
        if reasons:
            with transaction(self._pool) as conn:
                record = one(conn, _SQL["lock"], {"approval_id": approval_id})
                if record is not None and record.job_key is not None:
                    told: dict[str, JsonValue] = {"approval_id": approval_id, "reasons": [*reasons[:20]]}
                    tell(conn, record.job_key, "approval_left_to_people", told)

    def reject(self, approval_id: str, who: Reviewer, reason: str) -> DatasetApproval:
        """Refuse with a reason. Raises NotFound or ApprovalFailed."""
        with transaction(self._pool) as conn:
            self._pending(conn, approval_id, "reject")
            values = {"approval_id": approval_id, "reviewer": who.name, "reason": reason}
            rejected = _changed(conn, "reject", values)
            _write_down(conn, AuditAction.APPROVAL_REJECT, who, rejected, {"reason": reason})
            return rejected

    def resubmit(self, approval_id: str, who: Reviewer) -> DatasetApproval:
        """Ask again for a decision on what was refused. Raises NotFound or ApprovalFailed."""
        with transaction(self._pool) as conn:
            record = _locked(conn, approval_id)
            _require(record, ApprovalStatus.REJECTED, "resubmit", ApprovalFailed)
            conn.execute(_SQL["forget_votes"], {"approval_id": approval_id})
            found = one(conn, _SQL["resubmit"], {"approval_id": approval_id, "by": who.name})
            if found is None:
                raise ApprovalFailed("Cannot resubmit: nothing of it is left.", hint="Submit the dataset again.")
            _write_down(conn, AuditAction.APPROVAL_RESUBMIT, who, found, {})
            return found

    def revoke(self, approval_id: str, who: Reviewer, reason: str) -> DatasetApproval:
        """Withdraw what was published. Raises NotFound or RevocationFailed."""
        with transaction(self._pool) as conn:
            publication.hold_collections(conn, approval_id)
            record = _locked(conn, approval_id)
            _require(record, ApprovalStatus.APPROVED, "revoke", RevocationFailed)
            revoked = _changed(conn, "revoke", {"approval_id": approval_id, "by": who.name, "reason": reason})
            publication.withdraw(conn, revoked)
            _write_down(conn, AuditAction.APPROVAL_REVOKE, who, revoked, {"reason": reason})
            return revoked

    def policy(self, record: DatasetApproval) -> ApprovalPolicy:
        """What it takes to decide on a record."""
        with transaction(self._pool) as conn:
            return self._policy(conn, record)

    def _approve_by_policy(self, approval_id: str) -> Sequence[str]:
        """Why a person has to look; nothing when that is settled."""
        with transaction(self._pool) as conn:
            publication.hold_collections(conn, approval_id)
            record = one(conn, _SQL["lock"], {"approval_id": approval_id})
            if record is None or record.status is not ApprovalStatus.PENDING:
                return []
            policy = self._policy(conn, record)
            reasons = self._objections(conn, record, policy)
            if not reasons:
                who = Reviewer(f"policy {policy.scope}", SYSTEM)
                self._publish(conn, approval_id, who, "Nothing changed beyond the bounds of the policy.")
            return reasons

    def _objections(self, conn: Connection, record: DatasetApproval, policy: ApprovalPolicy) -> Sequence[str]:
        if not policy.auto_approve:
            return ["The policy was changed and no longer approves anything itself."]
        if self._exports and record.classification is AccessLevel.PUBLIC and not policy.auto_export:
            return ["Approving it would export it, and the policy does not say auto_export."]
        return self._judge(record, reviewed(conn, record.approval_id), policy)

    def _publish(
        self, conn: Connection, approval_id: str, who: Reviewer, notes: str | None
    ) -> tuple[DatasetApproval, bool]:
        """Approve and publish; whether an export follows."""
        values = {"approval_id": approval_id, "reviewer": who.name, "notes": notes}
        approved = _changed(conn, "approve", values)
        publication.publish(conn, approved)
        exported = self._exports and conn.execute(_EXPORTS["promise"], {"approval_id": approval_id}).rowcount == 1
        _write_down(conn, AuditAction.APPROVAL_APPROVE, who, approved, {"notes": notes})
        return approved, exported

    def _pending(self, conn: Connection, approval_id: str, verb: str) -> DatasetApproval:
        publication.hold_collections(conn, approval_id)
        record = _locked(conn, approval_id)
        _require(record, ApprovalStatus.PENDING, verb, ApprovalFailed)
        return record

    def _policy(self, conn: Connection, record: DatasetApproval) -> ApprovalPolicy:
        values = {"dataset_id": record.dataset_id, "classification": record.classification.value}
        with conn.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_SQL["policy"], values).fetchone()
        return ApprovalPolicy.model_validate(row) if row else self.fallback


def _locked(conn: Connection, approval_id: str) -> DatasetApproval:
    record = one(conn, _SQL["lock"], {"approval_id": approval_id})
    if record is None:
        raise NotFound(f"There is no approval {approval_id[:100]!r}.")
    return record


def _require(record: DatasetApproval, status: ApprovalStatus, verb: str, refusal: type[GeomachineError]) -> None:
    if record.status is not status:
        raise refusal(f"Cannot {verb}: status is '{record.status}', expected '{status}'.")


def _changed(conn: Connection, name: str, values: Mapping[str, object]) -> DatasetApproval:
    record = one(conn, _SQL[name], values)
    assert record is not None  # it is locked, and its state was looked at
    return record


def _count(conn: Connection, name: str, approval_id: str) -> int:
    row = conn.execute(_SQL[name], {"approval_id": approval_id}).fetchone()
    assert row is not None  # an aggregate
    return int(row[0])


def _write_down(
    conn: Connection, action: AuditAction, who: Reviewer, record: DatasetApproval, details: dict[str, JsonValue]
) -> None:
    """Audit log and, while the job is kept, its history."""
    told = {"reviewer": who.name, "status": record.status.value, **{k: v for k, v in details.items() if v is not None}}
    audit.record(conn, who.by, action, record.approval_id, told)
    if record.job_key is not None:
        tell(conn, record.job_key, action.value.replace(".", "_"), {"approval_id": record.approval_id, **told})
