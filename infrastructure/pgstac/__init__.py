"""pgSTAC: writing and publishing items inside the caller's transaction."""

from infrastructure.pgstac.cogs import apply_upsert_cog_metadata, read_cog_metadata
from infrastructure.pgstac.collections import apply_extend_collection, apply_upsert_item
from infrastructure.pgstac.items import PUBLICATION, WRITTEN_LATER, get_item, note_digests, show_renders
from infrastructure.pgstac.removal import apply_remove_raster, delete_empty_collection, shrink

__all__ = [
    "PUBLICATION",
    "WRITTEN_LATER",
    "apply_extend_collection",
    "apply_remove_raster",
    "apply_upsert_cog_metadata",
    "apply_upsert_item",
    "delete_empty_collection",
    "get_item",
    "note_digests",
    "read_cog_metadata",
    "show_renders",
    "shrink",
]
