"""An event that a partner is told at the address he gave."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, JsonValue


class WebhookEvent(BaseModel):
    """What the outbox holds of it. `id` stays the same however often it is sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    type: str
    request_id: str
    client_id: str
    url: str
    time: datetime
    data: dict[str, JsonValue]


class DeliveryLog(Protocol):
    """Where attempts are written down."""

    def attempted(
        self, event: WebhookEvent, *, status: int | None, error: str | None, milliseconds: int | None
    ) -> None:
        """Keep how an attempt ended."""
        ...
