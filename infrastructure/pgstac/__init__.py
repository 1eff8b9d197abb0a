"""pgSTAC: writing and publishing items inside the caller's transaction."""

from infrastructure.pgstac.cogs import apply_upsert_cog_metadata
from infrastructure.pgstac.items import apply_upsert_item, get_item, set_item_published

__all__ = ["apply_upsert_cog_metadata", "apply_upsert_item", "get_item", "set_item_published"]
