"""The catalogue as handlers and the platform service read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from psycopg.rows import class_row

from core.contracts.catalog import CatalogedRaster, CatalogMember
from core.contracts.effects import StacJson
from core.contracts.plans import Collision
from infrastructure.postgres import dataset_refs
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("pgstac")
_UNPUBLISH = Queries("unpublish")


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

    def raster(self, collection_id: str, item_id: str) -> CatalogedRaster | None:
        """What there is of a raster."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(CatalogedRaster)) as cursor:
            return cursor.execute(_UNPUBLISH["raster"], {"collection_id": collection_id, "item_id": item_id}).fetchone()

    def cataloged(self, container: str, paths: Sequence[str]) -> Mapping[str, str]:
        """Those of the files that are COGs of the catalogue."""
        with connection(self._pool) as conn:
            rows = conn.execute(_UNPUBLISH["cataloged"], {"container": container, "paths": list(paths)}).fetchall()
        return {str(path): str(item) for path, item in rows}

    def collisions(
        self, tables: Sequence[str], items: Sequence[tuple[str, str]], client_id: str
    ) -> Sequence[Collision]:
        """Which of these tables and items there are."""
        with connection(self._pool) as conn:
            return dataset_refs.collisions(conn, tables, items, client_id)

    def mosaic_id(self, collection_id: str) -> str:
        """The id of the search for the collection's published items."""
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["mosaic_id"], {"collection_id": collection_id}).fetchone()
        assert row is not None  # it is computed, not looked up
        return str(row[0])
