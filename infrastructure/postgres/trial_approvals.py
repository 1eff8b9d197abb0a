"""Reviews of made-up items, for who tries out the workflow on a developer's machine."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from pydantic import JsonValue

from core.contracts.effects import UpsertStacItem
from core.contracts.principals import Principal
from core.models.approvals import DatasetApproval
from core.models.platform import AccessLevel
from infrastructure.pgstac.collections import apply_upsert_item
from infrastructure.postgres.approvals import one
from infrastructure.postgres.pool import Pool, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("approvals")
_COLLECTION = "approval-test"


def open_trial(pool: Pool, by: Principal, job_id: str | None, classification: AccessLevel) -> DatasetApproval:
    """A new item at 0, 0 in a collection of its kind, and the record that decides on it. The job need not exist."""
    approval_id = f"apr-{secrets.token_hex(16)}"
    with transaction(pool) as conn:
        apply_upsert_item(conn, UpsertStacItem(_collection(), _item(approval_id, by.client_id, classification)))
        values = {
            "approval_id": approval_id,
            "job_id": job_id or secrets.token_hex(32),
            "classification": classification.value,
            "collection_id": _COLLECTION,
            "by": by.name,
            "client_id": by.client_id,
        }
        record = one(conn, _SQL["open_trial"], values)
        assert record is not None  # it was written
        conn.execute(_SQL["add_trial_item"], values)
        return record


def _collection() -> dict[str, JsonValue]:
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": _COLLECTION,
        "description": "Made-up items of POST /api/approvals/test.",
        "license": "other",
        "links": [],
        "extent": {"spatial": {"bbox": [[0, 0, 0, 0]]}, "temporal": {"interval": [[None, None]]}},
    }


def _item(identifier: str, client_id: str, classification: AccessLevel) -> dict[str, JsonValue]:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": identifier,
        "collection": _COLLECTION,
        "bbox": [0, 0, 0, 0],
        "geometry": {"type": "Point", "coordinates": [0, 0]},
        "links": [],
        "assets": {},
        "properties": {
            "datetime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "app:published": False,
            "platform:access_level": classification.value,
            "platform:client": client_id,
        },
    }
