"""Who has to approve what? One row per scope; the narrowest one that fits decides."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from core.models.record import Record, Stamped
from core.schema.table import Table

#: `default`, `classification:public` and its like, or `dataset:` and a dataset_id.
SCOPE = r"^(default|classification:(public|ouo|restricted)|dataset:.+)$"


class ApprovalPolicy(Record):
    """What it takes to publish. `allow_self` lets submitters approve their own."""

    __table__: ClassVar[Table] = Table(name="approval_policies", primary_key=("scope",))

    scope: Annotated[str, Field(max_length=300, pattern=SCOPE)]
    required_approvals: Annotated[int, Field(ge=1, le=2)] = 1
    allow_self: bool = False
    updated_by: str
    updated_at: Stamped = None
