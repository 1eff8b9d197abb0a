"""What the host would send for a trigger: typed data and trigger metadata, made from a plain body."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

from . import wire


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def typed(value):
    """The host's conversion of a value: text as it is, everything else as JSON."""
    return wire.TypedData(string=value) if isinstance(value, str) else wire.TypedData(json=json.dumps(value))


def service_bus(body: str, *, delivery_count: int = 1, message_id: str | None = None):
    """One delivery of one message, with the extension's metadata names and the body's own JSON fields."""
    now = datetime.now(UTC)
    metadata = {
        "MessageId": message_id or uuid.uuid4().hex,
        "SequenceNumber": 1,
        "DeliveryCount": delivery_count,
        "EnqueuedTimeUtc": _stamp(now),
        "ExpiresAtUtc": _stamp(now + timedelta(days=14)),
        "LockToken": str(uuid.uuid4()),
        "ApplicationProperties": {},
        "UserProperties": {},
    }
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    fields = document if isinstance(document, dict) else {}
    metadata = {**{k: v for k, v in fields.items() if v is not None}, **metadata}
    return typed(body), {k: typed(v) for k, v in metadata.items()}


def timer():
    """An occurrence that is not late, of a schedule that never ran before."""
    never = "0001-01-01T00:00:00+00:00"
    status = {"Last": never, "LastUpdated": never, "Next": never}
    return typed({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}), {}


def plain(data):
    """What a function returned, as a value JSON can carry."""
    kind = data.WhichOneof("data")
    if kind is None:
        return None
    value = getattr(data, kind)
    match kind:
        case "json":
            return json.loads(value)
        case "bytes" | "stream":
            return value.decode("utf-8", "replace")
        case "http":
            return {"status": value.status_code, "body": plain(value.body)}
        case _:
            return value
