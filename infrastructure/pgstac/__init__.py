"""pgSTAC: writing and publishing items inside the caller's transaction."""

from infrastructure.pgstac.cogs import apply_upsert_cog_metadata, read_cog_metadata
from infrastructure.pgstac.collections import apply_extend_collection, apply_upsert_item
from infrastructure.pgstac.items import PUBLICATION, get_item, show_renders
from infrastructure.pgstac.removal import apply_remove_raster, delete_empty_collection, shrink

__all__ = [
    "PUBLICATION",
    "apply_extend_collection",
    "apply_remove_raster",
    "apply_upsert_cog_metadata",
    "apply_upsert_item",
    "delete_empty_collection",
    "get_item",
    "read_cog_metadata",
    "show_renders",
    "shrink",
]
