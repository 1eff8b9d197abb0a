"""Taking items out of pgSTAC, and making their collection what is left of it, inside the caller's transaction."""

from __future__ import annotations

import json
from typing import cast

import psycopg
from psycopg.rows import TupleRow

from core.contracts.effects import MOSAIC_ASSET, MosaicFile, RemoveRaster
from core.errors import Conflict
from infrastructure.pgstac.collections import SUMMARISED, assets, changed, cogs, with_mosaic, with_summary
from infrastructure.pgstac.extents import Json
from infrastructure.postgres.queries import Queries

Connection = psycopg.Connection[TupleRow]

_SQL = Queries("unpublish")
_PGSTAC = Queries("pgstac")


def apply_remove_raster(conn: Connection, effect: RemoveRaster) -> None:
    """Remove item, row, references, renders and reviews. Raises Conflict for an approved one that is not forced."""
    key = {"collection_id": effect.collection_id, "item_id": effect.item_id}
    conn.execute(_PGSTAC["lock_collection"], key)
    if conn.execute(_SQL["is_approved"], key).fetchone() == (True,) and not effect.force_approved:
        raise Conflict(
            f"{effect.collection_id}/{effect.item_id} was approved meanwhile.",
            hint="Revoke its approval first, or give force_approved.",
        )
    conn.execute(_PGSTAC["delete_items"], {"collection_id": effect.collection_id, "ids": [effect.item_id]})
    conn.execute(_SQL["delete_cog"], key)
    conn.execute(_SQL["withdraw_item"], {**key, "by": effect.by, "reason": effect.reason})
    shrink(conn, effect.collection_id, effect.mosaic_file, delete=effect.delete_collection)


def delete_empty_collection(conn: Connection, collection_id: str) -> None:
    """Remove a collection if it has no items; the caller holds its lock."""
    key = {"collection_id": collection_id}
    if conn.execute(_SQL["is_empty"], key).fetchone() == (True,):
        conn.execute(_SQL["delete_collection"], key)


def shrink(
    conn: Connection,
    collection_id: str,
    file: MosaicFile | None = None,
    *,
    delete: bool = False,
    drops_mosaic: bool = False,
) -> None:
    """Extent, summaries and MosaicJSON as the items that are left make them; without any the collection says so.

    Raises CollectionChanged for a MosaicJSON that lists other COGs than are left, unless it may go.
    """
    key = {"collection_id": collection_id}
    row = conn.execute(_PGSTAC["collection"], key).fetchone()
    left = conn.execute(_SQL["left"], {**key, "names": list(SUMMARISED)}).fetchone()
    if row is None or left is None:
        return
    stored, (count, bbox, interval, values) = cast("Json", row[0]), left
    if count == 0 and delete:
        delete_empty_collection(conn, collection_id)
        return
    wanted = with_mosaic(stored, file) if MOSAIC_ASSET in assets(stored) else dict(stored)
    listed = file.cogs if file else frozenset()
    if MOSAIC_ASSET in assets(stored) and not drops_mosaic and cogs(conn, collection_id) != listed:
        raise changed(collection_id)
    if count:
        wanted["extent"] = {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [interval]}}
    for name in SUMMARISED:
        wanted = with_summary(wanted, name, values.get(name) or [])
    conn.execute(_PGSTAC["update_collection"], {"content": json.dumps(wanted)})
