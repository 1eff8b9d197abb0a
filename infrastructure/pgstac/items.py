"""STAC items in pgSTAC. Every function runs inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import psycopg
from psycopg.rows import TupleRow
from pydantic import JsonValue

from core.errors import ContractViolation
from infrastructure.pgstac.extents import Json
from infrastructure.postgres.queries import Queries

Connection = psycopg.Connection[TupleRow]

_SQL = Queries("pgstac")
#: What approval and revocation write into an item, and reprocessing must not lose.
PUBLICATION = (
    "app:published",
    "app:published_at",
    "app:approved_by",
    "app:revoked",
    "app:revoked_at",
    "app:revoked_by",
    "app:revocation_reason",
)

#: What is written into items after they were made: by reviews, and by those who change how a COG is drawn.
WRITTEN_LATER = (*PUBLICATION, "renders")


def write_items(conn: Connection, collection_id: str, items: Sequence[Mapping[str, JsonValue]]) -> None:
    """Write items into a collection that is there and locked by the caller.

    One replaces that of the same id even when its datetime lies in another partition, and keeps its publication.
    """
    ids = [str(item["id"]) for item in items]
    rows = conn.execute(_SQL["publications"], {"collection_id": collection_id, "ids": ids}).fetchall()
    kept = {str(item_id): {k: v for k, v in before.items() if k in PUBLICATION} for item_id, before in rows}
    documents = []
    for item in items:
        properties = {**_properties(item), **_known(conn, collection_id, item), **kept.get(str(item["id"]), {})}
        documents.append({**item, "properties": properties})
    conn.execute(_SQL["delete_items"], {"collection_id": collection_id, "ids": ids})
    conn.execute(_SQL["create_items"], {"items": json.dumps(documents)})
    stored = note_digests(conn, collection_id, ids)
    if stored != len(ids):
        raise ContractViolation(f"pgSTAC holds {stored} of {len(ids)} items written to {collection_id}.")


def note_digests(conn: Connection, collection_id: str, ids: Sequence[str]) -> int:
    """Let items count as ours as they are now; how many there are."""
    values = {"collection_id": collection_id, "ids": ids, "later": list(WRITTEN_LATER)}
    return conn.execute(_SQL["note_digests"], values).rowcount


def get_item(conn: Connection, collection_id: str, item_id: str) -> Json | None:
    """The whole item, or None."""
    row = conn.execute(_SQL["item"], {"collection_id": collection_id, "item_id": item_id}).fetchone()
    return cast("Json | None", row[0]) if row else None


def show_renders(conn: Connection, *, collection_id: str, item_id: str) -> None:
    """Make an item's `renders` what the tables say. Changes nothing where the item or its COG is gone."""
    conn.execute(_SQL["lock_collection"], {"collection_id": collection_id})
    conn.execute(_SQL["show_renders"], {"collection_id": collection_id, "item_id": item_id})


def _known(conn: Connection, collection_id: str, item: Mapping[str, JsonValue]) -> Json:
    """What the database adds to an item: the countries it lies in and how its COG is to be drawn."""
    values = {"geometry": json.dumps(item["geometry"]), "collection_id": collection_id, "item_id": item["id"]}
    row = conn.execute(_SQL["known"], values).fetchone()
    assert row is not None  # a query without FROM
    countries, renders = cast("tuple[Json, Json | None]", row)
    return countries if renders is None else {**countries, "renders": renders}


def _properties(item: Mapping[str, JsonValue]) -> Json:
    return cast("Json", item["properties"])
