"""The catalogue as handlers and the platform service read it."""

from __future__ import annotations

from typing import cast

from core.contracts.effects import StacJson
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("pgstac")


class PostgresCatalog:
    """The Catalog over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collection(self, collection_id: str) -> StacJson | None:
        """A collection's document."""
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["collection"], {"collection_id": collection_id}).fetchone()
        return cast("StacJson", row[0]) if row else None
