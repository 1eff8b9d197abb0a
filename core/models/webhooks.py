"""What partners were told at their own addresses, attempt by attempt."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import NonNegative, Record
from core.schema.table import Column, Index, Table


class WebhookDelivery(Record):
    """One attempt to deliver an event. `status_code` is the receiver's answer, `error` what was wrong."""

    __table__: ClassVar[Table] = Table(
        name="webhook_deliveries",
        primary_key=("delivery_id",),
        indexes=(Index(("event_id", "delivery_id")), Index(("request_id", "delivery_id")), Index(("at",))),
    )

    delivery_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    event_id: Annotated[str, Field(min_length=1)]
    event_type: str
    request_id: str
    client_id: str
    url: str
    status_code: int | None = None
    error: str | None = None
    duration_ms: NonNegative | None = None
    at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
