"""`app.dataset_refs`: which COGs and tables belong to a partner's dataset."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import dict_row

from core.contracts.effects import UpsertDatasetRef
from core.models.datasets import DatasetRef
from infrastructure.postgres.pool import Connection, Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("dataset_refs")


@dataclass(frozen=True)
class DatasetQuery:
    """Which references are asked for; None means any."""

    dataset_id: str
    resource_id: str | None = None
    version_id: str | None = None
    data_type: str | None = None
    client_id: str | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True)
class KnownRef:
    """A reference, and whether the public sees its item."""

    ref: DatasetRef
    published: bool


def apply_upsert_dataset_ref(conn: Connection, effect: UpsertDatasetRef) -> None:
    """Write the reference inside the caller's transaction."""
    conn.execute(_SQL["upsert"], effect.ref.model_dump(mode="json"))


class DatasetRefs:
    """References over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def of(self, wanted: DatasetQuery) -> list[KnownRef]:
        """What belongs to a dataset, by resource, version and item."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["of_dataset"], vars(wanted)).fetchall()
        return [KnownRef(published=row.pop("published"), ref=DatasetRef.model_validate(row)) for row in rows]
