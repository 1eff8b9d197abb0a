"""Collections in pgSTAC: made, widened, summarised and registered as mosaics, inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import psycopg
from psycopg.rows import TupleRow
from pydantic import JsonValue

from core.contracts.catalog import missing_collection
from core.contracts.effects import MOSAIC_ASSET, ExtendCollection, MosaicFile, StacJson, UpsertStacItem
from core.errors import CollectionChanged
from infrastructure.pgstac.extents import Json, with_item
from infrastructure.pgstac.items import write_items
from infrastructure.postgres.queries import Queries

Connection = psycopg.Connection[TupleRow]

_SQL = Queries("pgstac")
#: Properties whose values a collection lists.
SUMMARISED = ("proj:code", "app:raster_type", "app:dtype", "app:band_count")
SEARCH_ID = "mosaic:search_id"


def apply_extend_collection(conn: Connection, effect: ExtendCollection) -> None:
    """Write the items, and the collection as it is with them. Raises NotFound or CollectionChanged."""
    collection_id = str(effect.collection["id"])
    conn.execute(_SQL["lock_collection"], {"collection_id": collection_id})
    stored = _stored(conn, collection_id)
    if stored is None and effect.must_exist:
        raise missing_collection(collection_id)
    wanted = _summarised(_with_items(stored or effect.collection, effect.items), effect.items)
    if effect.mosaic:
        wanted = with_summary(wanted, SEARCH_ID, [register_mosaic(conn, collection_id)])
    if effect.mosaic_file is not None:
        wanted = with_mosaic(wanted, effect.mosaic_file)
    listed = _listed(conn, wanted, effect.mosaic_file)
    if stored is None:
        conn.execute(_SQL["create_collection"], {"content": json.dumps(wanted)})
    elif wanted != stored:
        conn.execute(_SQL["update_collection"], {"content": json.dumps(wanted)})
    write_items(conn, collection_id, effect.items)
    if listed is not None and cogs(conn, collection_id) != listed:
        if not effect.drops_mosaic:
            raise changed(collection_id)
        conn.execute(_SQL["update_collection"], {"content": json.dumps(with_mosaic(wanted, None))})


def apply_upsert_item(conn: Connection, effect: UpsertStacItem) -> None:
    """Write one item."""
    extension = ExtendCollection(
        effect.collection,
        (effect.item,),
        must_exist=effect.must_exist,
        mosaic_file=effect.mosaic_file,
        drops_mosaic=effect.drops_mosaic,
    )
    apply_extend_collection(conn, extension)


def register_mosaic(conn: Connection, collection_id: str) -> str:
    """The id of the search that shows what is published of a collection: a question, so it is never out of date."""
    row = conn.execute(_SQL["register_mosaic"], {"collection_id": collection_id}).fetchone()
    assert row is not None  # the function returns a row in every case
    return str(row[0])


def _listed(conn: Connection, collection: Json, file: MosaicFile | None) -> frozenset[str] | None:
    """The COGs that the MosaicJSON lists: a new one's own, else all there are before anything is written."""
    if MOSAIC_ASSET not in assets(collection):
        return None
    return file.cogs if file is not None else cogs(conn, str(collection["id"]))


def _stored(conn: Connection, collection_id: str) -> Json | None:
    row = conn.execute(_SQL["collection"], {"collection_id": collection_id}).fetchone()
    return cast("Json", row[0]) if row else None


def _with_items(collection: StacJson, items: Sequence[StacJson]) -> Json:
    wider = dict(collection)
    for item in items:
        wider = with_item(wider, item)
    return wider


def _summarised(collection: Json, items: Sequence[StacJson]) -> Json:
    """Every value that an item has ever brought."""
    for name in SUMMARISED:
        brought = [cast("Mapping[str, JsonValue]", item["properties"]).get(name) for item in items]
        known = cast("dict[str, list[JsonValue]]", collection.get("summaries", {})).get(name, [])
        values = {json.dumps(value): value for value in [*known, *brought] if value is not None}
        if values:
            collection = with_summary(collection, name, [values[key] for key in sorted(values)])
    return collection


def with_summary(collection: Json, name: str, values: list[JsonValue]) -> Json:
    """The collection with the values of a property; without any it is not summarised."""
    summaries = cast("Json", collection.get("summaries", {}))
    kept = {key: value for key, value in summaries.items() if key != name}
    return {**collection, "summaries": {**kept, name: values} if values else kept}


def assets(collection: StacJson) -> Json:
    """The collection's own."""
    return cast("Json", collection.get("assets", {}))


def with_mosaic(collection: Json, file: MosaicFile | None) -> Json:
    """The collection with this MosaicJSON, or with none."""
    kept = {key: value for key, value in assets(collection).items() if key != MOSAIC_ASSET}
    if file is not None:
        kept[MOSAIC_ASSET] = dict(file.asset)
    return {**collection, "assets": kept}


def cogs(conn: Connection, collection_id: str) -> frozenset[str]:
    """The COGs of a collection's items: what a MosaicJSON has to list."""
    return frozenset(str(row[0]) for row in conn.execute(_SQL["cogs"], {"collection_id": collection_id}))


def changed(collection_id: str) -> CollectionChanged:
    """What is raised rather than leave a MosaicJSON that lists other COGs than there are."""
    return CollectionChanged(f"Collection {collection_id!r} got other items while its mosaic was written.")
