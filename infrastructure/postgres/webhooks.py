"""The log of webhook deliveries, and sending an event again."""

from __future__ import annotations

from psycopg.rows import dict_row

from core.contracts.principals import Principal
from core.contracts.webhooks import WebhookEvent
from core.errors import NotFound
from core.models.audit import AuditAction
from core.models.webhooks import WebhookDelivery
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("webhooks")


class PostgresDeliveries:
    """The DeliveryLog over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def attempted(
        self, event: WebhookEvent, *, status: int | None, error: str | None, milliseconds: int | None
    ) -> None:
        """Keep how an attempt ended."""
        values = {
            "event_id": event.id,
            "event_type": event.type,
            "request_id": event.request_id,
            "client_id": event.client_id,
            "url": event.url,
            "status_code": status,
            "error": error and error[:1000],
            "duration_ms": milliseconds,
        }
        with connection(self._pool) as conn:
            conn.execute(_SQL["attempted"], values)

    def page(
        self, request_id: str | None, event_id: str | None, before: int | None, limit: int
    ) -> list[WebhookDelivery]:
        """Attempts, newest first."""
        values = {"request_id": request_id, "event_id": event_id, "before": before, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return [WebhookDelivery.model_validate(row) for row in cursor.execute(_SQL["page"], values)]

    def forget(self, days: float) -> int:
        """Remove attempts of so many days ago; how many."""
        with connection(self._pool) as conn:
            return conn.execute(_SQL["forget"], {"days": days}).rowcount

    def replay(self, event_id: str, by: Principal) -> None:
        """Send an event again, delivered or not, under its id. Raises NotFound."""
        with transaction(self._pool) as conn:
            if conn.execute(_SQL["replay"], {"event_id": event_id}).rowcount != 1:
                raise NotFound(f"There is no event {event_id[:100]!r}.")
            conn.execute(_SQL["resolve_letters"], {"event_id": event_id, "by": by.name})
            audit.record(conn, by, AuditAction.WEBHOOK_REPLAY, event_id)
