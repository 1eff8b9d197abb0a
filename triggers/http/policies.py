"""`/api/admin/approval-policies`: who has to approve what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from core.models.policies import SCOPE, ApprovalPolicy
from triggers.http.access import TheRuntime
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/approval-policies", tags=["approvals"])
Scope = Annotated[
    str,
    Path(
        max_length=300,
        pattern=SCOPE,
        description="`default`, `classification:public|ouo|restricted` or `dataset:` and a dataset_id.",
    ),
]


class PolicyBody(BaseModel):
    """What it takes to publish within a scope.

    With `auto_approve` the policy approves new revisions of what is published itself, where nothing but extent and
    number of rows or pixels changed, and these by no more percent than said. What is exported then needs `auto_export`.
    """

    model_config = ConfigDict(extra="forbid")

    required_approvals: int = Field(1, ge=1, le=2)
    allow_self: bool = False
    auto_approve: bool = False
    auto_export: bool = False
    max_extent_percent: float = Field(0.0, ge=0, le=100)
    max_count_percent: float = Field(0.0, ge=0, le=100)


class PolicyList(BaseModel):
    """Every stored policy, and what holds where none is stored."""

    policies: list[ApprovalPolicy]
    fallback: ApprovalPolicy


class PolicyAnswer(BaseModel):
    """A policy that was stored, or deleted."""

    success: bool = True
    policy: ApprovalPolicy


@router.get("")
def listing(runtime: TheRuntime, _: Admin) -> PolicyList:
    """Every stored policy."""
    return PolicyList(policies=runtime.policies.all(), fallback=runtime.decisions.fallback)


@router.put("/{scope:path}")
def put(scope: Scope, body: PolicyBody, runtime: TheRuntime, caller: Admin) -> PolicyAnswer:
    """Store a policy, or replace it."""
    policy = ApprovalPolicy(scope=scope, updated_by=caller.name, **body.model_dump())
    return PolicyAnswer(policy=runtime.policies.put(policy, caller))


@router.delete("/{scope:path}")
def delete(scope: Scope, runtime: TheRuntime, caller: Admin) -> PolicyAnswer:
    """Forget a policy; wider ones decide again."""
    return PolicyAnswer(policy=runtime.policies.delete(scope, caller))
