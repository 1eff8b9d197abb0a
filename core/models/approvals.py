"""Whether a person let a dataset be published."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.platform import AccessLevel
from core.models.record import BigInt, Created, JobId, Positive, Record
from core.schema.table import Check, Column, ForeignKey, Index, Table
from core.states import ApprovalStatus

ApprovalId = Annotated[str, Field(pattern="^apr-[0-9a-f]{32}$")]


class DatasetApproval(Record):
    """The decision on one revision of what a job made. Its items are rows of `app.approval_items`.

    `subject` is the dataset version, or the first item of a job without one; `stac_*` name the item partners know.
    `submitted_by` asked for it, on behalf of `client_id`; `changed_by` took the last step.
    """

    __table__: ClassVar[Table] = Table(
        name="dataset_approvals",
        primary_key=("approval_id",),
        uniques=(("subject", "revision"), ("job_key", "stac_collection_id", "stac_item_id")),
        indexes=(
            Index(("created_at",), where="status = 'pending'", name="ix_dataset_approvals_pending"),
            Index(("number",), unique=True),
            Index(
                ("number",),
                where="adf_run_id IS NOT NULL AND adf_finished_at IS NULL",
                name="ix_dataset_approvals_exporting",
            ),
            Index(("job_id",)),
            Index(("request_id",)),
            Index(("stac_item_id",)),
        ),
        checks=(
            Check(
                "decided_by_reviewer",
                "status IN ('pending', 'superseded') OR (reviewer IS NOT NULL AND reviewed_at IS NOT NULL)",
            ),
            Check("rejected_has_reason", "status <> 'rejected' OR rejection_reason IS NOT NULL"),
            Check(
                "revoked_has_reason", "status <> 'revoked' OR num_nulls(revoked_at, revoked_by, revocation_reason) = 0"
            ),
            Check(
                "superseded_by_another",
                "status <> 'superseded' OR (superseded_by IS NOT NULL AND superseded_by <> approval_id)",
            ),
            Check("only_public_leaves", "adf_run_id IS NULL OR classification = 'public'"),
        ),
        # A decision outlives the job it was made on.
        foreign_keys=(ForeignKey(("job_key",), "app.jobs", ("job_key",), on_delete="SET NULL"),),
    )

    approval_id: ApprovalId
    number: Annotated[int, Column(sql_type="bigint", identity=True)]
    job_id: JobId
    job_key: BigInt | None
    job_type: str
    classification: AccessLevel = AccessLevel.OUO
    status: ApprovalStatus = ApprovalStatus.PENDING
    subject: str
    revision: Positive
    dataset_id: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    stac_item_id: str
    stac_collection_id: str
    item_count: Positive = 1
    submitted_by: str | None = None
    client_id: str | None = None
    reviewer: str | None = None
    notes: str | None = None
    rejection_reason: str | None = None
    revoked_at: AwareDatetime | None = None
    revoked_by: str | None = None
    revocation_reason: str | None = None
    superseded_by: str | None = None
    changed_by: str | None = None
    adf_run_id: str | None = None
    adf_status: str | None = None
    adf_error: str | None = None
    adf_finished_at: AwareDatetime | None = None
    created_at: Created
    reviewed_at: AwareDatetime | None = None
    updated_at: Created


class ReviewedItemState(StrEnum):
    """What a review has to do with one of its items."""

    OPEN = "open"  #: to be decided, or refused and not taken over since
    PUBLISHED = "published"  #: shown because of this review
    TAKEN_OVER = "taken_over"  #: another review decides on it now
    WITHDRAWN = "withdrawn"  #: revoked, or gone from the catalogue


class ApprovalItem(Record):
    """An item that a decision covers. One review at most may still decide on it, and one at most publishes it."""

    __table__: ClassVar[Table] = Table(
        name="approval_items",
        primary_key=("approval_id", "stac_collection_id", "stac_item_id"),
        indexes=(
            Index(
                ("stac_collection_id", "stac_item_id"),
                unique=True,
                where="state = 'open'",
                name="ux_approval_items_open",
            ),
            Index(
                ("stac_collection_id", "stac_item_id"),
                unique=True,
                where="state = 'published'",
                name="ux_approval_items_published",
            ),
            Index(("stac_collection_id", "stac_item_id"), name="ix_approval_items_item"),
        ),
        foreign_keys=(ForeignKey(("approval_id",), "app.dataset_approvals", ("approval_id",), on_delete="CASCADE"),),
    )

    approval_id: ApprovalId
    stac_collection_id: str
    stac_item_id: str
    state: ReviewedItemState = ReviewedItemState.OPEN


class ApprovalVote(Record):
    """The consent of one reviewer where a policy asks for several."""

    __table__: ClassVar[Table] = Table(
        name="approval_votes",
        primary_key=("approval_id", "reviewer"),
        foreign_keys=(ForeignKey(("approval_id",), "app.dataset_approvals", ("approval_id",), on_delete="CASCADE"),),
    )

    approval_id: ApprovalId
    reviewer: Annotated[str, Field(min_length=1)]
    notes: str | None = None
    voted_at: Created


class ApprovalChange(Record):
    """A step in the life of a record, written by a trigger and never changed. It outlives the record."""

    __table__: ClassVar[Table] = Table(
        name="approval_history", primary_key=("change_id",), indexes=(Index(("approval_id", "change_id")),)
    )

    change_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    approval_id: ApprovalId
    from_status: ApprovalStatus | None = None
    to_status: ApprovalStatus
    by: str | None = None
    reason: str | None = None
    at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
