"""How does a feature table leave, or enter, the catalogue as it is? In the caller's transaction."""

from __future__ import annotations

from core.contracts.effects import CatalogFeatureTable, RemoveFeatureTable
from core.errors import Conflict, TargetChanged
from infrastructure.pgstac import delete_empty_collection
from infrastructure.postgres import feature_reads
from infrastructure.postgres.feature_changes import drop_table, write_catalog, write_style
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_Q = Queries("feature_removal")
_COMMON = Queries("feature_common")
_PGSTAC = Queries("pgstac")


def apply_remove(conn: Connection, effect: RemoveFeatureTable) -> None:
    """Remove what there is of a table. Raises Conflict for what the public sees, unless the effect says so."""
    conn.execute(_COMMON["serialize_change"], {"schema": effect.schema, "table": effect.table})
    held = feature_reads.held(conn, effect.schema, effect.table)
    item = {"collection_id": held.stac_collection_id, "item_id": held.stac_item_id}
    if held.stac_collection_id is not None:
        # Now that nobody approves it meanwhile.
        conn.execute(_PGSTAC["lock_collection"], item)
        held = feature_reads.held(conn, effect.schema, effect.table)
    if held.published and not effect.force:
        raise Conflict(
            f"Table {effect.schema}.{effect.table} is approved: the public sees it.",
            hint="Revoke the approval first, or send force_approved=true.",
        )
    if held.stac_item_id is not None:
        conn.execute(_Q["delete_item"], item)
        conn.execute(_Q["withdraw_item"], {**item, "by": effect.by, "reason": effect.reason})
    if held.stac_collection_id is not None and effect.delete_collection:
        delete_empty_collection(conn, held.stac_collection_id)
    if held.exists:
        drop_table(conn, effect.schema, effect.table)
    conn.execute(_Q["delete_catalog"], {"table_name": effect.table})


def apply_catalog(conn: Connection, effect: CatalogFeatureTable) -> None:
    """Write the catalogue row of a table that is there, and its style unless it has that one.

    Raises TargetChanged when the table is no longer as it was measured.
    """
    names = {"schema": effect.catalog.schema_name, "table": effect.catalog.table_name}
    conn.execute(_COMMON["serialize_change"], names)
    live = feature_reads.live(conn, names["schema"], names["table"])
    known = None if live is None or live.catalog is None else live.catalog.updated_at
    if live is None or live.geometry_type != effect.catalog.geometry_type or known != effect.expected:
        raise TargetChanged(f"Table {names['schema']}.{names['table']} changed while it was described.")
    write_catalog(conn, effect.catalog)
    write_style(conn, effect.style)
