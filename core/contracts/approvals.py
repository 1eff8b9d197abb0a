"""The rules of a decision: who it is that decides, and whether he may."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.principals import Principal, PrincipalKind
from core.errors import Forbidden
from core.models.approvals import DatasetApproval
from core.models.policies import ApprovalPolicy


@dataclass(frozen=True)
class Reviewer:
    """In whose name a decision is made, and whose credential said so."""

    name: str
    by: Principal


def reviewer(by: Principal, named: str | None) -> Reviewer:
    """The reviewer of a call. A person is himself; a service may name the person it acts for. Raises Forbidden."""
    if named is not None and named != by.name and by.kind is PrincipalKind.PERSON:
        raise Forbidden(
            f"{by.name} cannot decide in the name of {named}.",
            hint="Leave reviewer out: it is whoever is signed in. Service keys may name one.",
        )
    return Reviewer(named or by.name, by)


def require_other_eyes(who: Reviewer, record: DatasetApproval, policy: ApprovalPolicy) -> None:
    """Raise Forbidden when the submitter would approve his own, unless the policy lets him."""
    own = {name for name in (record.submitted_by, record.client_id) if name is not None}
    eyes = {who.name} if who.name != who.by.name else {who.by.name, who.by.client_id}
    if own & eyes and not policy.allow_self:
        raise Forbidden(
            f"{who.name} submitted this, so somebody else has to approve it.",
            hint=f"Policy {policy.scope!r} asks for other eyes; admins change it at /api/admin/approval-policies.",
        )
