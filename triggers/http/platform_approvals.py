"""`/api/platform/approve` and its like: decisions by whichever id the partner has at hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, model_validator

from core.contracts.approvals import reviewer
from core.contracts.principals import Principal
from core.errors import InvalidRequest, NotFound
from core.models.approvals import DatasetApproval
from core.models.platform import AccessLevel
from core.states import ApprovalStatus
from infrastructure.postgres.approvals import ApprovalFilter, Named
from triggers.http.access import TheRuntime
from triggers.http.approvals import ApprovalList, Name, Offset, Prose, decision, page
from triggers.http.paging import Cursor, Word
from triggers.http.scope import Member, Reviewer

router = APIRouter(prefix="/api/platform", tags=["approvals"])
Words = Annotated[str | None, Query(max_length=20_000, pattern=r"^[^\x00]*$", description="Up to 1000 with commas.")]
_PAGE = "platform_approvals"
_MOST = 1000


class WhichApproval(BaseModel):
    """A record by one of four ids."""

    model_config = ConfigDict(extra="forbid")

    approval_id: Word | None = None
    stac_item_id: Word | None = None
    job_id: Word | None = None
    request_id: Word | None = None

    @model_validator(mode="after")
    def _one_id(self) -> WhichApproval:
        given = [name for name, value in vars(self.named).items() if value is not None]
        if len(given) != 1:
            raise ValueError("give one of approval_id, stac_item_id, job_id and request_id")
        return self

    @property
    def named(self) -> Named:
        """The id that was given."""
        return Named(self.approval_id, self.stac_item_id, self.job_id, self.request_id)


class PlatformApprove(WhichApproval):
    """A reviewer's consent."""

    reviewer: Name | None = None
    notes: Prose | None = None


class PlatformReject(WhichApproval):
    """A reviewer's refusal."""

    reviewer: Name | None = None
    reason: Prose


class PlatformRevoke(WhichApproval):
    """Why something published is withdrawn."""

    revoker: Name | None = None
    reason: Prose


class PlatformDecision(BaseModel):
    """What was decided."""

    success: bool = True
    approval_id: str
    status: ApprovalStatus
    action: str
    adf_run_id: str | None
    stac_updated: bool
    classification: AccessLevel
    message: str
    warning: str | None = None


class ItemStanding(BaseModel):
    """How an item, a collection or a table stands."""

    has_approval: bool
    approval_id: str | None = None
    status: ApprovalStatus | None = None
    is_approved: bool = False
    reviewer: str | None = None
    reviewed_at: datetime | None = None


class Standings(BaseModel):
    """The answer for each name asked for."""

    success: bool = True
    statuses: dict[str, ItemStanding]


class PlatformApproval(BaseModel):
    """One record."""

    success: bool = True
    approval: DatasetApproval


class PlatformApprovalList(ApprovalList):
    """A page of records."""

    success: bool = True


@router.post("/approve")
def approve(body: PlatformApprove, runtime: TheRuntime, caller: Reviewer) -> PlatformDecision:
    """Publish a dataset."""
    record = runtime.approvals.find(body.named, ApprovalStatus.PENDING)
    made = decision(runtime.decisions.approve(record.approval_id, reviewer(caller, body.reviewer), body.notes))
    message = "Dataset approved successfully"
    if not made.stac_updated:
        message = f"Consent {made.approvals_given} of {made.approvals_required} is recorded; others have to follow."
    return _answer(made.approval, made.action, message, stac_updated=made.stac_updated)


@router.post("/reject")
def reject(body: PlatformReject, runtime: TheRuntime, caller: Reviewer) -> PlatformDecision:
    """Refuse a dataset, with the reason its submitter will read."""
    record = runtime.approvals.find(body.named, ApprovalStatus.PENDING)
    made = runtime.decisions.reject(record.approval_id, reviewer(caller, body.reviewer), body.reason)
    return _answer(made, "rejected", "Dataset rejected")


@router.post("/resubmit")
def resubmit(body: WhichApproval, runtime: TheRuntime, caller: Member) -> PlatformDecision:
    """Ask again for a decision; a partner for what is his."""
    record = runtime.approvals.find(body.named, ApprovalStatus.REJECTED, caller.sees_only)
    made = runtime.decisions.resubmit(record.approval_id, reviewer(caller, None))
    return _answer(made, "resubmitted", "Dataset waits for a decision again")


@router.post("/revoke")
def revoke(body: PlatformRevoke, runtime: TheRuntime, caller: Reviewer) -> PlatformDecision:
    """Withdraw a published dataset: the public sees it no longer, at once."""
    record = runtime.approvals.find(body.named, ApprovalStatus.APPROVED)
    made = runtime.decisions.revoke(record.approval_id, reviewer(caller, body.revoker), body.reason)
    warning = "Approved dataset has been revoked - this action is logged for audit"
    answer = _answer(made, "stac_updated", "Dataset approval revoked", stac_updated=True)
    return answer.model_copy(update={"warning": warning})


@router.get("/approvals")
def listing(
    runtime: TheRuntime,
    caller: Member,
    status: ApprovalStatus | None = None,
    classification: AccessLevel | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Offset = 0,
    after: Cursor = None,
) -> PlatformApprovalList:
    """Records, newest first; a partner's own."""
    wanted = ApprovalFilter(status, classification, client_id=caller.sees_only)
    return PlatformApprovalList(**dict(page(runtime, _PAGE, wanted, limit, offset, after)))


@router.get("/approvals/status")
def standings(
    runtime: TheRuntime,
    caller: Member,
    stac_item_ids: Words = None,
    stac_collection_ids: Words = None,
    table_names: Words = None,
) -> Standings:
    """How items, collections and tables stand; what is somebody else's has no approval for a partner."""
    items, collections, tables = map(_split, (stac_item_ids, stac_collection_ids, table_names))
    found = runtime.approvals.standing(items, collections, tables, caller.sees_only)
    return Standings(statuses={name: _standing(found.get(name)) for name in (*items, *collections, *tables)})


@router.get("/approvals/{approval_id}")
def one(approval_id: Word, runtime: TheRuntime, caller: Member) -> PlatformApproval:
    """One record; a partner's own."""
    return PlatformApproval(approval=_visible(runtime.approvals.get(approval_id), caller))


def _visible(record: DatasetApproval, caller: Principal) -> DatasetApproval:
    if not caller.may_see(record.client_id):
        raise NotFound(f"There is no approval {record.approval_id!r}.")
    return record


def _answer(record: DatasetApproval, action: str, message: str, *, stac_updated: bool = False) -> PlatformDecision:
    return PlatformDecision(
        approval_id=record.approval_id,
        status=record.status,
        action=action,
        adf_run_id=record.adf_run_id,
        stac_updated=stac_updated,
        classification=record.classification,
        message=message,
    )


def _standing(record: DatasetApproval | None) -> ItemStanding:
    if record is None:
        return ItemStanding(has_approval=False)
    return ItemStanding(
        has_approval=True,
        approval_id=record.approval_id,
        status=record.status,
        is_approved=record.status is ApprovalStatus.APPROVED,
        reviewer=record.reviewer,
        reviewed_at=record.reviewed_at,
    )


def _split(text: str | None) -> list[str]:
    names = [part.strip() for part in (text or "").split(",") if part.strip()]
    if len(names) > _MOST:
        raise InvalidRequest(f"{len(names)} names are asked for at once.", hint=f"Ask for {_MOST} at most.")
    return names
