"""Who has to approve what? One row per scope; the narrowest one that fits decides."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from core.models.record import Record, Stamped
from core.schema.table import Table

#: `default`, `classification:public` and its like, or `dataset:` and a dataset_id.
SCOPE = r"^(default|classification:(public|ouo|restricted)|dataset:.+)$"


class ApprovalPolicy(Record):
    """What it takes to publish. `allow_self` lets submitters approve their own.

    With `auto_approve` the policy itself approves revisions of low risk: `services/approvals/low_risk.py` tells, by
    its bounds: percentages of the published revision. `auto_export` lets it approve what then leaves the house.
    """

    __table__: ClassVar[Table] = Table(name="approval_policies", primary_key=("scope",))

    scope: Annotated[str, Field(max_length=300, pattern=SCOPE)]
    required_approvals: Annotated[int, Field(ge=1, le=2)] = 1
    allow_self: bool = False
    auto_approve: bool = False
    auto_export: bool = False
    max_extent_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    max_count_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    updated_by: str
    updated_at: Stamped = None
