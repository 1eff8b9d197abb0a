"""Messages to the outside world that were promised in a transaction and are delivered after it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime

from core.models.record import Created, Json, NonNegative, Positive, Record
from core.schema.table import Check, Column, Index, Table


class OutboxMessage(Record):
    """One side effect. A second promise with the same topic and `dedup_key` is the same message."""

    __table__: ClassVar[Table] = Table(
        name="outbox",
        primary_key=("outbox_id",),
        uniques=(("topic", "dedup_key"),),
        indexes=(Index(("outbox_id",), where="delivered_at IS NULL AND dead_at IS NULL", name="ix_outbox_open"),),
        checks=(
            # Nothing but public data leaves; a trigger asks the approval itself as well.
            Check("exports_are_public", "topic <> 'adf' OR payload ->> 'access_level' IS NOT DISTINCT FROM 'public'"),
            Check("delivered_or_dead", "delivered_at IS NULL OR dead_at IS NULL"),
        ),
    )

    outbox_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    topic: str
    dedup_key: str
    payload: Json
    not_before: Created
    attempts: NonNegative = 0
    max_attempts: Positive = 10
    worker: str | None = None
    last_error: str | None = None
    created_at: Created
    delivered_at: AwareDatetime | None = None
    dead_at: AwareDatetime | None = None
