"""Whether a person let a dataset be published."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.platform import AccessLevel
from core.models.record import BigInt, Created, JobId, Record
from core.schema.table import Check, ForeignKey, Index, Table
from core.states import ApprovalStatus


class DatasetApproval(Record):
    """The decision on one STAC item that one job made. At most one decision on an item is open."""

    __table__: ClassVar[Table] = Table(
        name="dataset_approvals",
        primary_key=("approval_id",),
        uniques=(("job_key", "stac_collection_id", "stac_item_id"),),
        indexes=(
            Index(
                ("stac_collection_id", "stac_item_id"),
                unique=True,
                where="status = 'pending'",
                name="ux_dataset_approvals_item_pending",
            ),
            Index(("created_at",), where="status = 'pending'", name="ix_dataset_approvals_pending"),
            Index(("job_id",)),
        ),
        checks=(
            Check("decided_by_reviewer", "status = 'pending' OR (reviewer IS NOT NULL AND reviewed_at IS NOT NULL)"),
            Check("rejected_has_reason", "status <> 'rejected' OR rejection_reason IS NOT NULL"),
            Check(
                "revoked_has_reason", "status <> 'revoked' OR num_nulls(revoked_at, revoked_by, revocation_reason) = 0"
            ),
        ),
        # A decision outlives the job it was made on.
        foreign_keys=(ForeignKey(("job_key",), "app.jobs", ("job_key",), on_delete="SET NULL"),),
    )

    approval_id: Annotated[str, Field(pattern="^apr-[0-9a-f]{32}$")]
    job_id: JobId
    job_key: BigInt | None
    job_type: str
    classification: AccessLevel = AccessLevel.OUO
    status: ApprovalStatus = ApprovalStatus.PENDING
    stac_item_id: str
    stac_collection_id: str
    reviewer: str | None = None
    notes: str | None = None
    rejection_reason: str | None = None
    revoked_at: AwareDatetime | None = None
    revoked_by: str | None = None
    revocation_reason: str | None = None
    adf_run_id: str | None = None
    created_at: Created
    reviewed_at: AwareDatetime | None = None
    updated_at: Created
