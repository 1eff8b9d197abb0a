"""Collections made what their items are again, inside the caller's transaction."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import cast

from core.contracts.effects import MosaicFile
from infrastructure.pgstac.collections import (
    SEARCH_ID,
    Connection,
    changed,
    cogs,
    register_mosaic,
    with_mosaic,
    with_summary,
)
from infrastructure.pgstac.extents import Json, widened
from infrastructure.postgres.queries import Queries

_SQL = Queries("pgstac")
_UNPUBLISH = Queries("unpublish")


def widen_to_items(conn: Connection, collection_id: str) -> None:
    """Have a collection cover its items; extents only grow."""
    stored = _stored(conn, collection_id)
    left = conn.execute(_UNPUBLISH["left"], {"collection_id": collection_id, "names": []}).fetchone()
    if stored is None or left is None or not left[0]:
        return
    _, bbox, interval, _ = left
    box = cast("dict[str, dict[str, list[list[float]]]]", stored["extent"])["spatial"]["bbox"][0]
    if len(box) == 6:
        bbox = [*bbox[:2], box[2], *bbox[2:], box[5]]
    covered: Json = {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [[_moment(at) for at in interval]]}}
    wanted = widened(stored, {"extent": covered})
    if wanted != stored:
        conn.execute(_SQL["update_collection"], {"content": json.dumps(wanted)})


def show_mosaic(conn: Connection, collection_id: str, file: MosaicFile | None) -> None:
    """Have a collection name a mosaic that shows its items, and pgSTAC know its search. Raises CollectionChanged."""
    stored = _stored(conn, collection_id)
    if stored is None:
        return
    wanted = stored
    if SEARCH_ID in cast("Json", stored.get("summaries", {})):
        wanted = with_summary(wanted, SEARCH_ID, [register_mosaic(conn, collection_id)])
    if file is not None:
        wanted = with_mosaic(wanted, file)
        if cogs(conn, collection_id) != file.cogs:
            raise changed(collection_id)
    if wanted != stored:
        conn.execute(_SQL["update_collection"], {"content": json.dumps(wanted)})


def _stored(conn: Connection, collection_id: str) -> Json | None:
    row = conn.execute(_SQL["collection"], {"collection_id": collection_id}).fetchone()
    return cast("Json", row[0]) if row else None


def _moment(at: str) -> str:
    """As the pipeline writes it."""
    return datetime.fromisoformat(at).astimezone(UTC).isoformat().replace("+00:00", "Z")
