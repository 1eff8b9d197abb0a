"""How is a handler's effect written? One function per kind, inside the transaction that completes the task."""

from __future__ import annotations

from typing import assert_never

from core.contracts.effects import (
    CatalogFeatureTable,
    Effect,
    ExtendCollection,
    MergeFeatureTable,
    NoteCurated,
    RemoveFeatureTable,
    RemoveRaster,
    RepairDrift,
    SwapFeatureTable,
    UpsertCogMetadata,
    UpsertDatasetRef,
    UpsertStacItem,
)
from infrastructure.pgstac import (
    apply_extend_collection,
    apply_remove_raster,
    apply_upsert_cog_metadata,
    apply_upsert_item,
)
from infrastructure.postgres.curated_notes import apply_note
from infrastructure.postgres.dataset_refs import apply_upsert_dataset_ref
from infrastructure.postgres.feature_changes import apply_merge, apply_swap
from infrastructure.postgres.feature_removal import apply_catalog, apply_remove
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.repairs import apply_repair


def apply(conn: Connection, effect: Effect) -> None:  # noqa: C901 - one line per kind
    """Write one effect."""
    match effect:
        case UpsertStacItem():
            apply_upsert_item(conn, effect)
        case ExtendCollection():
            apply_extend_collection(conn, effect)
        case RemoveRaster():
            apply_remove_raster(conn, effect)
        case UpsertCogMetadata():
            apply_upsert_cog_metadata(conn, effect)
        case UpsertDatasetRef():
            apply_upsert_dataset_ref(conn, effect)
        case SwapFeatureTable():
            apply_swap(conn, effect)
        case MergeFeatureTable():
            apply_merge(conn, effect)
        case RemoveFeatureTable():
            apply_remove(conn, effect)
        case CatalogFeatureTable():
            apply_catalog(conn, effect)
        case RepairDrift():
            apply_repair(conn, effect)
        case NoteCurated():
            apply_note(conn, effect)
        case _:
            assert_never(effect)
