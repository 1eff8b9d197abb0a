"""`/api/approvals`: a person decides what is published."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from composition import Runtime
from core.contracts.approvals import reviewer
from core.models.approvals import DatasetApproval, ReviewedItemState
from core.models.platform import AccessLevel
from core.states import ApprovalStatus
from infrastructure.postgres.approvals import ApprovalFilter
from infrastructure.postgres.decisions import Decided
from triggers.http.access import TheRuntime
from triggers.http.paging import PLAIN, Cursor, Word, cursor, position
from triggers.http.scope import Reviewer

router = APIRouter(prefix="/api/approvals", tags=["approvals"])
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PLAIN)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000, pattern=PLAIN)]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="How many to pass over; `cursor` is quicker.")]
_PAGE = "approvals"


class Approve(BaseModel):
    """A reviewer's consent. Without `reviewer` it is the caller's; only service keys may name somebody else."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Name | None = None
    notes: Prose | None = None


class Reject(BaseModel):
    """A reviewer's refusal."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Name | None = None
    reason: Prose


class Revoke(BaseModel):
    """Why something published is withdrawn."""

    model_config = ConfigDict(extra="forbid")

    revoker: Name | None = None
    reason: Prose


class ItemUnderReview(BaseModel):
    """One of the items that a decision covers."""

    stac_collection_id: str
    stac_item_id: str
    state: ReviewedItemState


class ApprovalWithItems(DatasetApproval):
    """A record, what it covers, and whose consent it has and needs."""

    items: list[ItemUnderReview]
    approved_so_far: list[str]
    approvals_required: int


class ApprovalList(BaseModel):
    """A page of records, and how many there are in each state. `next_cursor` is null at the end."""

    approvals: list[DatasetApproval]
    count: int
    limit: int
    offset: int
    status_counts: dict[str, int]
    next_cursor: str | None


class Decision(BaseModel):
    """What was decided. `action` is `consent_recorded` while further reviewers are asked, `adf_queued` where a run of
    the Data Factory follows; the record then gets its `adf_run_id`."""

    success: bool = True
    approval: DatasetApproval
    action: str
    adf_run_id: str | None
    stac_updated: bool
    approvals_given: int = 1
    approvals_required: int = 1


class HistoryStep(BaseModel):
    """A change of state, or a consent that left it pending."""

    at: datetime
    from_status: str | None
    to_status: str
    by: str | None
    reason: str | None


class History(BaseModel):
    """The life of a record, oldest step first."""

    approval_id: str
    steps: list[HistoryStep]


@router.get("")
def listing(
    runtime: TheRuntime,
    _: Reviewer,
    status: ApprovalStatus | None = None,
    classification: AccessLevel | None = None,
    dataset_id: Word | None = None,
    collection_id: Word | None = None,
    job_id: Word | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
    after: Cursor = None,
) -> ApprovalList:
    """Records, newest first, a page at a time."""
    wanted = ApprovalFilter(status, classification, dataset_id, collection_id, job_id)
    return page(runtime, _PAGE, wanted, limit, offset, after)


@router.get("/{approval_id}")
def one(approval_id: Word, runtime: TheRuntime, _: Reviewer) -> ApprovalWithItems:
    """One record, the items it decides on, and the consent it needs."""
    record = runtime.approvals.get(approval_id)
    items = [
        ItemUnderReview(stac_collection_id=collection, stac_item_id=item, state=state)
        for collection, item, state in runtime.approvals.items(approval_id)
    ]
    return ApprovalWithItems(
        **dict(record),
        items=items,
        approved_so_far=runtime.approvals.votes(approval_id),
        approvals_required=runtime.decisions.policy(record).required_approvals,
    )


@router.get("/{approval_id}/history")
def history(approval_id: Word, runtime: TheRuntime, _: Reviewer) -> History:
    """Who did what to a record, and when."""
    runtime.approvals.get(approval_id)
    steps = [HistoryStep(**vars(step)) for step in runtime.approvals.history(approval_id)]
    return History(approval_id=approval_id, steps=steps)


@router.post("/{approval_id}/approve")
def approve(approval_id: Word, runtime: TheRuntime, caller: Reviewer, body: Approve | None = None) -> Decision:
    """Publish: every STAC item, its table and the record change in one transaction."""
    body = body or Approve()
    return decision(runtime.decisions.approve(approval_id, reviewer(caller, body.reviewer), body.notes))


@router.post("/{approval_id}/reject")
def reject(approval_id: Word, runtime: TheRuntime, caller: Reviewer, body: Reject) -> Decision:
    """Refuse, with the reason the submitter will read."""
    record = runtime.decisions.reject(approval_id, reviewer(caller, body.reviewer), body.reason)
    return Decision(approval=record, action="rejected", adf_run_id=None, stac_updated=False)


@router.post("/{approval_id}/resubmit")
def resubmit(approval_id: Word, runtime: TheRuntime, caller: Reviewer) -> Decision:
    """Ask again for a decision on what was refused."""
    record = runtime.decisions.resubmit(approval_id, reviewer(caller, None))
    return Decision(approval=record, action="resubmitted", adf_run_id=None, stac_updated=False)


@router.post("/{approval_id}/revoke")
def revoke(approval_id: Word, runtime: TheRuntime, caller: Reviewer, body: Revoke) -> Decision:
    """Withdraw what was published: the public sees it no longer, at once."""
    record = runtime.decisions.revoke(approval_id, reviewer(caller, body.revoker), body.reason)
    return Decision(approval=record, action="stac_updated", adf_run_id=record.adf_run_id, stac_updated=True)


def decision(decided: Decided) -> Decision:
    """The answer to a consent."""
    published = decided.approval.status is ApprovalStatus.APPROVED
    return Decision(
        approval=decided.approval,
        action=("adf_queued" if decided.exported else "stac_updated") if published else "consent_recorded",
        adf_run_id=decided.approval.adf_run_id,
        stac_updated=published,
        approvals_given=decided.given,
        approvals_required=decided.required,
    )


def page(
    runtime: Runtime, name: str, wanted: ApprovalFilter, limit: int, offset: int, after: str | None
) -> ApprovalList:
    """A page of records, newest first; `name` is what its cursors are good for."""
    found = position(name, after, 1)
    records = runtime.approvals.page(replace(wanted, before=found[0] if found else None), limit, offset)
    return ApprovalList(
        approvals=records,
        count=len(records),
        limit=limit,
        offset=offset,
        status_counts=runtime.approvals.counts(wanted.client_id),
        next_cursor=cursor(name, records[-1].number) if len(records) == limit else None,
    )
