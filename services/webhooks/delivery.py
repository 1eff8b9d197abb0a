"""Delivering an event: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks describes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from core.contracts.outbound import Limits, Outbound
from core.contracts.webhooks import DeliveryLog, WebhookEvent
from core.errors import GeomachineError, InvalidRequest, RemoteUnavailable

_LIMITS = Limits(seconds=8, size=16 << 10, cut=True)
_PREFIX = "whsec_"


def secret_of(master: str, client_id: str) -> str:
    """The secret that a client's events are signed with, derived so that nobody has another's."""
    key = hmac.new(master.encode(), f"webhook:{client_id}".encode(), hashlib.sha256).digest()
    return _PREFIX + base64.b64encode(key).decode()


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Webhooks:
    """Sends events through the guarded client; every attempt is written down."""

    def __init__(
        self, outbound: Outbound, log: DeliveryLog, *, master: str | None, source: str, now: Callable[[], datetime]
    ) -> None:
        self._outbound = outbound
        self._log = log
        self._master = master
        self._source = source
        self._now = now

    def require(self, url: str | None) -> None:
        """Raise InvalidRequest for an address that no event can be sent to. The host may still be unknown or away."""
        if url is None:
            return
        if self._master is None:
            raise InvalidRequest(
                "callback_url: this system sends no webhooks.", hint="Ask for WEBHOOK_SECRET to be set."
            )
        try:
            self._outbound.check(url)
        except RemoteUnavailable:
            pass  # its name may be known by then
        except GeomachineError as e:
            raise InvalidRequest(f"callback_url: {e.message}", hint=e.hint) from e

    def deliver(self, payload: Mapping[str, JsonValue]) -> None:
        """Send one event. Raises when it was not taken: any answer but a 2xx means that it has to be sent again."""
        event = WebhookEvent.model_validate(payload)
        if self._master is None:
            raise InvalidRequest("WEBHOOK_SECRET is not set, so nothing can be signed.")
        body = json.dumps(self._document(event), separators=(",", ":")).encode()
        moment = int(self._now().timestamp())
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": event.id,
            "webhook-timestamp": str(moment),
            "webhook-signature": signature(secret_of(self._master, event.client_id), event.id, moment, body),
        }
        try:
            answer = self._outbound.post(event.url, body, headers, _LIMITS)
        except GeomachineError as e:
            self._log.attempted(event, status=None, error=e.message, milliseconds=None)
            raise
        taken = 200 <= answer.status < 300
        error = None if taken else f"The receiver answered {answer.status}."
        self._log.attempted(event, status=answer.status, error=error, milliseconds=answer.milliseconds)
        if error is not None:
            raise RemoteUnavailable(f"{event.url}: {error}")

    def secret(self, client_id: str) -> str | None:
        """What a client checks signatures with."""
        return None if self._master is None else secret_of(self._master, client_id)

    def _document(self, event: WebhookEvent) -> dict[str, JsonValue]:
        return {
            "specversion": "1.0",
            "id": event.id,
            "source": self._source,
            "type": f"geomachine.{event.type}",
            "subject": event.request_id,
            "time": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": event.data,
        }
