"""Which properties does every item of this system carry, whoever made it?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from core.models.platform import AccessLevel

CREATED_BY = "geomachine"


@dataclass(frozen=True)
class Provenance:
    """Whose dataset an item shows and which job made it. `created_at` must carry a time zone."""

    access_level: AccessLevel
    job_id: str
    job_type: str
    created_at: datetime
    dataset_id: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    request_id: str | None = None
    client_id: str | None = None


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, as STAC wants it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def dataset_properties(provenance: Provenance) -> dict[str, JsonValue]:
    """`platform:*` and `app:*` of a new item: not published, unknown ids left out."""
    ids: dict[str, JsonValue] = {
        "platform:dataset_id": provenance.dataset_id,
        "platform:resource_id": provenance.resource_id,
        "platform:version_id": provenance.version_id,
        "platform:request_id": provenance.request_id,
        "platform:client": provenance.client_id,
    }
    return {
        **{name: value for name, value in ids.items() if value is not None},
        "platform:access_level": provenance.access_level.value,
        "app:published": False,
        "app:created_by": CREATED_BY,
        "app:processing_timestamp": timestamp(provenance.created_at),
        "app:job_id": provenance.job_id,
        "app:job_type": provenance.job_type,
    }
