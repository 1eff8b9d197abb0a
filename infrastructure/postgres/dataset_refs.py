"""`app.dataset_refs`: which COGs and tables belong to a partner's dataset. They are read in `datasets`."""

from __future__ import annotations

from core.contracts.effects import UpsertDatasetRef
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("dataset_refs")


def apply_upsert_dataset_ref(conn: Connection, effect: UpsertDatasetRef) -> None:
    """Write the reference inside the caller's transaction."""
    conn.execute(_SQL["upsert"], effect.ref.model_dump(mode="json"))
