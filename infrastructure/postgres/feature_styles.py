"""The styles of feature tables, for those who may see the tables."""

from __future__ import annotations

import json
from dataclasses import dataclass

from psycopg.rows import dict_row

from core.contracts.principals import Principal
from core.errors import NotFound
from core.models.audit import AuditAction
from core.models.catalog import FeatureCollectionStyle, GeoTableCatalog
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("feature_styles")


@dataclass(frozen=True)
class StyledTable:
    """A table, and the client whose it is."""

    catalog: GeoTableCatalog
    client_id: str | None


class FeatureStyles:
    """Styles over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def table(self, name: str, caller: Principal | None) -> StyledTable:
        """The table. Raises NotFound, also for one that the caller may not see."""
        values = {
            "table_name": name,
            "everything": caller is not None and caller.sees_everything,
            "client": caller.client_id if caller else None,
            "published": None if caller else True,
        }
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_SQL["table"], values).fetchone()
        if row is None:
            raise _no_table(name)
        client = row.pop("client_id")
        return StyledTable(GeoTableCatalog.model_validate(row), client)

    def list(self, collection_id: str) -> list[FeatureCollectionStyle]:
        """All of a table's, the default first."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["list"], {"collection_id": collection_id})
            return [FeatureCollectionStyle.model_validate(row) for row in rows]

    def get(self, collection_id: str, style_id: str) -> FeatureCollectionStyle:
        """One style. Raises NotFound."""
        with connection(self._pool) as conn:
            found = _one(conn, "get", {"collection_id": collection_id, "style_id": style_id})
        if found is None:
            raise _missing(collection_id, style_id)
        return found

    def put(self, style: FeatureCollectionStyle, by: Principal) -> tuple[FeatureCollectionStyle, bool]:
        """Write a style, and whether it is new. As the default it takes the place of the one before.

        Raises NotFound for a table that is gone.
        """
        row = style.model_dump(mode="json", exclude={"created_at", "updated_at"})
        with transaction(self._pool) as conn:
            if conn.execute(_SQL["lock"], row).fetchone() is None:
                raise _no_table(style.collection_id)
            new = _one(conn, "get", row) is None
            if style.is_default:
                conn.execute(_SQL["no_default"], row)
            written = _one(conn, "put", {**row, "style_spec": json.dumps(row["style_spec"])})
            assert written is not None  # the statement returns the row in every case
            audit.record(conn, by, AuditAction.STYLE_PUT, f"{style.collection_id}/{style.style_id}")
        return written, new

    def delete(self, collection_id: str, style_id: str, by: Principal) -> None:
        """Remove a style. Raises NotFound."""
        values = {"collection_id": collection_id, "style_id": style_id}
        with transaction(self._pool) as conn:
            if conn.execute(_SQL["delete"], values).rowcount != 1:
                raise _missing(collection_id, style_id)
            audit.record(conn, by, AuditAction.STYLE_DELETE, f"{collection_id}/{style_id}")


def _one(conn: Connection, name: str, values: dict[str, object]) -> FeatureCollectionStyle | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL[name], values).fetchone()
    return FeatureCollectionStyle.model_validate(row) if row else None


def _no_table(name: str) -> NotFound:
    return NotFound(f"Collection {name} does not exist.")


def _missing(collection_id: str, style_id: str) -> NotFound:
    return NotFound(f"Collection {collection_id} has no style {style_id!r}.")
