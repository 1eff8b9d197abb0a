"""Webhooks: what was delivered, sending it again, and the secret that receivers check signatures with."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from core.errors import NotFound
from core.models.webhooks import WebhookDelivery
from triggers.http.access import TheRuntime
from triggers.http.paging import Cursor, Limit, Word, cursor, position
from triggers.http.scope import Admin, Partner

router = APIRouter(prefix="/api", tags=["webhooks"])
_PAGE = "webhooks"


class Deliveries(BaseModel):
    """Attempts, newest first. `next_cursor` is null at the end."""

    count: int
    deliveries: list[WebhookDelivery]
    next_cursor: str | None


class Replayed(BaseModel):
    """An event that is sent again, under the id it had."""

    success: bool = True
    event_id: str


class WebhookSecret(BaseModel):
    """What the caller's client checks signatures with, as Standard Webhooks writes secrets."""

    client_id: str
    secret: str


@router.get("/admin/webhooks")
def deliveries(
    runtime: TheRuntime,
    _: Admin,
    limit: Limit = 50,
    after: Cursor = None,
    request_id: Word | None = None,
    event_id: Word | None = None,
) -> Deliveries:
    """Attempts to deliver events."""
    found = position(_PAGE, after, 1)
    rows = runtime.deliveries.page(request_id, event_id, found[0] if found else None, limit)
    last = rows[-1].delivery_id if len(rows) == limit else None
    return Deliveries(count=len(rows), deliveries=rows, next_cursor=last and cursor(_PAGE, last))


@router.post("/admin/webhooks/{event_id}/replay", status_code=202)
def replay(event_id: Word, runtime: TheRuntime, caller: Admin) -> Replayed:
    """Send an event again, whether it was delivered or given up."""
    runtime.deliveries.replay(event_id, caller)
    return Replayed(event_id=event_id)


@router.get("/platform/webhook-secret")
def secret(runtime: TheRuntime, caller: Partner) -> WebhookSecret:
    """The secret of the caller's client. 404 where this system sends no webhooks."""
    found = runtime.webhooks.secret(caller.client_id)
    if found is None:
        raise NotFound("This system sends no webhooks.", hint="Ask for WEBHOOK_SECRET to be set.")
    return WebhookSecret(client_id=caller.client_id, secret=found)
