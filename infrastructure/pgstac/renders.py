"""`app.raster_render_configs`: how people want a COG drawn. Its item says the same at every commit."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
from psycopg.rows import TupleRow, dict_row
from pydantic import JsonValue

from core.contracts.principals import Principal
from core.contracts.renders import RenderSpec
from core.errors import Conflict, NotFound
from core.models.audit import AuditAction
from core.models.cogs import CogMetadata, RasterRenderConfig
from infrastructure.pgstac.cogs import read_cog_metadata
from infrastructure.pgstac.items import show_renders
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Pool, connection, transaction
from infrastructure.postgres.queries import Queries

Connection = psycopg.Connection[TupleRow]
#: Raises InvalidRequest for a render that the COG cannot be drawn by.
Check = Callable[[RenderSpec, CogMetadata], None]

_SQL = Queries("cog_metadata")
_PGSTAC = Queries("pgstac")


class RenderConfigs:
    """Named renders over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def cog(self, cog_id: str) -> CogMetadata:
        """The row of a COG. Raises NotFound."""
        with connection(self._pool) as conn:
            return read_cog_metadata(conn, cog_id)

    def list(self, cog_id: str) -> list[RasterRenderConfig]:
        """A COG's named renders, in order."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["renders"], {"cog_id": cog_id}).fetchall()
        return [RasterRenderConfig.model_validate(row) for row in rows]

    def get(self, cog_id: str, render_id: str) -> RasterRenderConfig:
        """One of them. Raises NotFound."""
        with connection(self._pool) as conn:
            found = _one(conn, cog_id, render_id)
        if found is None:
            raise _missing(cog_id, render_id)
        return found

    def put(self, config: RasterRenderConfig, by: Principal, check: Check, *, new: bool) -> RasterRenderConfig:
        """Write a render and show it in the item. Raises NotFound, or Conflict for a `new` one that is there."""
        key = {"cog_id": config.cog_id, "render_id": config.render_id}
        with transaction(self._pool) as conn:
            record = self._locked(conn, config.cog_id)
            check(RenderSpec.model_validate(config.render_spec), record)
            before = _one(conn, config.cog_id, config.render_id)
            if new and before is not None:
                raise Conflict(
                    f"{config.cog_id} has a render {config.render_id!r} already.", hint="Change it with PUT."
                )
            if not new and before is None:
                raise _missing(config.cog_id, config.render_id)
            if config.is_default:
                conn.execute(_SQL["no_default"], key)
            values = config.model_dump(include=set(RasterRenderConfig.model_fields) - {"created_at", "updated_at"})
            with conn.cursor(row_factory=dict_row) as cursor:
                spec = json.dumps(config.render_spec)
                row = cursor.execute(_SQL["put_render"], {**values, "render_spec": spec}).fetchone()
            assert row is not None  # what was written is returned
            self._shown(conn, record)
            told: dict[str, JsonValue] = {"render_id": config.render_id, "is_default": config.is_default}
            audit.record(conn, by, AuditAction.RENDER_PUT, config.cog_id, told)
            return RasterRenderConfig.model_validate(row)

    def delete(self, cog_id: str, render_id: str, by: Principal) -> None:
        """Remove a render; the pipeline's view is the default again if it was that. Raises NotFound."""
        with transaction(self._pool) as conn:
            record = self._locked(conn, cog_id)
            if conn.execute(_SQL["delete_render"], {"cog_id": cog_id, "render_id": render_id}).rowcount != 1:
                raise _missing(cog_id, render_id)
            self._shown(conn, record)
            audit.record(conn, by, AuditAction.RENDER_DELETE, cog_id, {"render_id": render_id})

    @staticmethod
    def _locked(conn: Connection, cog_id: str) -> CogMetadata:
        # Jobs take the collection before the row. Whoever did it the other way round could block one, and be blocked.
        collection = read_cog_metadata(conn, cog_id).stac_collection_id
        conn.execute(_PGSTAC["lock_collection"], {"collection_id": collection})
        return read_cog_metadata(conn, cog_id)

    @staticmethod
    def _shown(conn: Connection, record: CogMetadata) -> None:
        show_renders(conn, collection_id=record.stac_collection_id, item_id=record.stac_item_id)


def _one(conn: Connection, cog_id: str, render_id: str) -> RasterRenderConfig | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["render"], {"cog_id": cog_id, "render_id": render_id}).fetchone()
    return RasterRenderConfig.model_validate(row) if row else None


def _missing(cog_id: str, render_id: str) -> NotFound:
    return NotFound(f"{cog_id} has no render {render_id!r}.", hint="GET its renders for those it has.")
