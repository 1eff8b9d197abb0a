"""`/api/approvals`: a person decides what is published."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from core.contracts.principals import Principal
from core.models.access import Role
from core.models.approvals import DatasetApproval, ReviewedItemState
from core.models.platform import AccessLevel
from core.states import ApprovalStatus
from triggers.http.access import TheRuntime
from triggers.http.auth import require

router = APIRouter(prefix="/api/approvals", tags=["approvals"])
Reviewer = Annotated[Principal, Depends(require(Role.REVIEWER))]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class Approve(BaseModel):
    """A reviewer's consent. Without `reviewer` it is the caller's."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Name | None = None
    notes: Prose | None = None


class Reject(BaseModel):
    """A reviewer's refusal."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Name | None = None
    reason: Prose


class ItemUnderReview(BaseModel):
    """One of the items that a decision covers."""

    stac_collection_id: str
    stac_item_id: str
    state: ReviewedItemState


class ApprovalWithItems(DatasetApproval):
    """A record and what it covers."""

    items: list[ItemUnderReview]


class ApprovalList(BaseModel):
    """A page of records, and how many there are in each state."""

    approvals: list[DatasetApproval]
    count: int
    limit: int
    offset: int
    status_counts: dict[str, int]


class Decision(BaseModel):
    """What was decided."""

    success: bool = True
    approval: DatasetApproval
    action: str
    stac_updated: bool


@router.get("")
def listing(
    runtime: TheRuntime,
    _: Reviewer,
    status: ApprovalStatus | None = None,
    classification: AccessLevel | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> ApprovalList:
    """Records, newest first."""
    found = runtime.approvals.page(status=status, classification=classification, limit=limit, offset=offset)
    return ApprovalList(
        approvals=found, count=len(found), limit=limit, offset=offset, status_counts=runtime.approvals.counts()
    )


@router.get("/{approval_id}")
def one(approval_id: str, runtime: TheRuntime, _: Reviewer) -> ApprovalWithItems:
    """One record and the items it decides on."""
    record = runtime.approvals.get(approval_id)
    items = [
        ItemUnderReview(stac_collection_id=collection, stac_item_id=item, state=state)
        for collection, item, state in runtime.approvals.items(approval_id)
    ]
    return ApprovalWithItems(**dict(record), items=items)


@router.post("/{approval_id}/approve")
def approve(approval_id: str, runtime: TheRuntime, caller: Reviewer, body: Approve | None = None) -> Decision:
    """Publish: the STAC item, its table and the record change in one transaction."""
    body = body or Approve()
    approval = runtime.approvals.approve(approval_id, body.reviewer or caller.name, body.notes)
    return Decision(approval=approval, action="stac_updated", stac_updated=True)


@router.post("/{approval_id}/reject")
def reject(approval_id: str, runtime: TheRuntime, caller: Reviewer, body: Reject) -> Decision:
    """Refuse, with the reason the submitter will read."""
    approval = runtime.approvals.reject(approval_id, body.reviewer or caller.name, body.reason)
    return Decision(approval=approval, action="rejected", stac_updated=False)
