"""What would put back what an effect is about to replace? Asked just before the effect is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never, cast

from psycopg.rows import dict_row
from pydantic import JsonValue

from core.contracts.effects import (
    CatalogFeatureTable,
    Effect,
    ExtendCollection,
    MergeFeatureTable,
    NoteCurated,
    RemoveFeatureTable,
    RemoveRaster,
    RepairDrift,
    StacJson,
    SwapFeatureTable,
    UpsertCogMetadata,
    UpsertDatasetRef,
    UpsertStacItem,
)
from core.models.catalog import GeoTableCatalog, VectorEtlTracking
from core.models.cogs import CogMetadata
from infrastructure.pgstac import PUBLICATION, get_item
from infrastructure.postgres import held
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("artifacts")
ItemKey = tuple[str, str]


def items_of(effect: Effect) -> tuple[ItemKey, ...]:
    """The items, as (collection, item), that an effect writes or stands behind."""
    match effect:
        case UpsertStacItem():
            return ((str(effect.collection["id"]), str(effect.item["id"])),)
        case ExtendCollection():
            return tuple((str(effect.collection["id"]), str(item["id"])) for item in effect.items)
        case UpsertCogMetadata():
            return _pair(effect.record.stac_collection_id, effect.record.stac_item_id)
        case UpsertDatasetRef():
            return ((effect.ref.stac_collection_id, effect.ref.stac_item_id),)
        case RemoveRaster() | RemoveFeatureTable() | RepairDrift() | NoteCurated():
            return ()
        case SwapFeatureTable() | MergeFeatureTable() | CatalogFeatureTable():
            return _pair(effect.catalog.stac_collection_id, effect.catalog.stac_item_id)
        case _:
            assert_never(effect)


def preserve(conn: Connection, effect: Effect, current: Mapping[ItemKey, str]) -> None:
    """Keep what the effect replaces, under the artifacts that it belongs to; nothing where nothing is there.

    Rows that joined a table cannot be told from those that were there, so a merge is not kept.
    """
    for key in items_of(effect):
        artifact = current.get(key)
        if artifact is None:
            continue
        match effect:
            case UpsertStacItem() | ExtendCollection():
                _item(conn, effect.collection, key, artifact)
            case UpsertCogMetadata():
                _cog(conn, effect, artifact)
            case SwapFeatureTable():
                _table(conn, effect, artifact)
            case UpsertDatasetRef() | MergeFeatureTable() | CatalogFeatureTable():
                pass
            case RemoveRaster() | RemoveFeatureTable() | RepairDrift() | NoteCurated():
                pass  # they name no item: what is taken out on purpose is not kept, a repair keeps it itself
            case _:
                assert_never(effect)


def _item(conn: Connection, collection: StacJson, key: ItemKey, artifact_id: str) -> None:
    before = get_item(conn, *key)
    if before is None:
        return
    properties = cast("Mapping[str, JsonValue]", before["properties"])
    # Brought back, it waits for a decision again.
    plain = {name: value for name, value in properties.items() if name not in PUBLICATION}
    item: dict[str, JsonValue] = {**before, "properties": {**plain, "app:published": False}}
    held.keep(conn, artifact_id, UpsertStacItem(collection, item, drops_mosaic=True))


def _cog(conn: Connection, effect: UpsertCogMetadata, artifact_id: str) -> None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["cog"], {"cog_id": effect.record.cog_id}).fetchone()
    if row is not None:
        held.keep(conn, artifact_id, UpsertCogMetadata(CogMetadata.model_validate(row)))


def _table(conn: Connection, effect: SwapFeatureTable, artifact_id: str) -> None:
    """Move the live table aside, unless the swap will refuse to replace it: then it says why."""
    values = {"schema": effect.schema, "table": effect.table}
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["table"], values).fetchone()
    if row is None or not effect.overwrite or row["built_upon"] or row["tracking"] is None:
        return
    catalog = GeoTableCatalog.model_validate(row["catalog"])
    aside = held.put_aside(conn, effect.schema, effect.table, effect.table, artifact_id, catalog.tile_view)
    tracking = VectorEtlTracking.model_validate(row["tracking"])
    before = SwapFeatureTable(effect.schema, aside, effect.table, catalog, tracking, overwrite=True)
    held.keep(conn, artifact_id, before)


def _pair(collection: str | None, item: str | None) -> tuple[ItemKey, ...]:
    return ((collection, item),) if collection is not None and item is not None else ()
