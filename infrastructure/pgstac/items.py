"""STAC items in pgSTAC. Every function runs inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import psycopg
from psycopg.rows import TupleRow
from pydantic import JsonValue

from core.contracts.catalog import missing_collection
from core.contracts.effects import UpsertStacItem
from core.errors import ContractViolation, NotFound
from infrastructure.pgstac.extents import Json, widened
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


def apply_upsert_item(conn: Connection, effect: UpsertStacItem) -> None:
    """Write an item into its collection, which is created when absent and widened otherwise.

    The item replaces one of the same id even when its datetime lies in another partition.
    """
    collection_id = str(effect.collection["id"])
    item_id = str(effect.item["id"])
    known = _known(conn, collection_id, effect.item)
    conn.execute(_SQL["lock_collection"], {"collection_id": collection_id})
    _include(conn, effect.collection, must_exist=effect.must_exist)
    before = get_item(conn, collection_id, item_id)
    kept = {k: v for k, v in _properties(before).items() if k in PUBLICATION} if before is not None else {}
    item = {**effect.item, "properties": {**_properties(effect.item), **known, **kept}}
    _replace(conn, collection_id, item_id, item)


def get_item(conn: Connection, collection_id: str, item_id: str) -> Json | None:
    """The whole item, or None."""
    row = conn.execute(_SQL["item"], {"collection_id": collection_id, "item_id": item_id}).fetchone()
    return cast("Json | None", row[0]) if row else None


def set_item_published(
    conn: Connection, *, collection_id: str, item_id: str, published_at: datetime, approved_by: str
) -> None:
    """Show an item to the public. Raises NotFound."""
    conn.execute(_SQL["lock_collection"], {"collection_id": collection_id})
    moment = published_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    marks: Json = {"app:published": True, "app:published_at": moment, "app:approved_by": approved_by}
    parameters = {"collection_id": collection_id, "item_id": item_id, "properties": json.dumps(marks)}
    if conn.execute(_SQL["merge_properties"], parameters).rowcount != 1:
        raise NotFound(f"STAC item {item_id!r} of collection {collection_id!r} is gone, so it cannot be published.")


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


def _include(conn: Connection, collection: Mapping[str, JsonValue], *, must_exist: bool) -> None:
    row = conn.execute(_SQL["collection"], {"collection_id": collection["id"]}).fetchone()
    if row is None and must_exist:
        raise missing_collection(str(collection["id"]))
    if row is None:
        conn.execute(_SQL["create_collection"], {"content": json.dumps(dict(collection))})
        return
    wider = widened(row[0], collection)
    if wider != row[0]:
        conn.execute(_SQL["update_collection"], {"content": json.dumps(wider)})


def _replace(conn: Connection, collection_id: str, item_id: str, item: Mapping[str, JsonValue]) -> None:
    conn.execute(_SQL["delete_item"], {"collection_id": collection_id, "item_id": item_id})
    conn.execute(_SQL["create_item"], {"content": json.dumps(dict(item))})
    stored = conn.execute(_SQL["count_item"], {"collection_id": collection_id, "item_id": item_id}).fetchone()
    if stored != (1,):
        raise ContractViolation(
            f"pgSTAC holds {stored and stored[0]} items {collection_id}/{item_id} after one was written."
        )


def _properties(item: Mapping[str, JsonValue]) -> Json:
    return cast("Json", item["properties"])
