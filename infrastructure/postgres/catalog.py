"""The catalogue as handlers and the platform service read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from core.contracts.catalog import CatalogMember
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

    def members(self, collection_id: str) -> Sequence[CatalogMember]:
        """The collection's items that have a COG."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["members"], {"collection_id": collection_id}).fetchall()
        return [CatalogMember(item, tuple(bbox), href, width) for item, bbox, href, width in rows]

    def mosaic_id(self, collection_id: str) -> str:
        """The id of the search for the collection's published items."""
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["mosaic_id"], {"collection_id": collection_id}).fetchone()
        assert row is not None  # it is computed, not looked up
        return str(row[0])
