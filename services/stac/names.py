"""Under which id does the catalogue show a dataset?"""

from __future__ import annotations

from core.naming import slug


def item_id(*parts: str | None, fallback: str) -> str:
    """The slug of all parts joined by hyphens; that of the fallback when a part is missing."""
    known = [part for part in parts if part]
    return slug("-".join(known) if len(known) == len(parts) else fallback)


def table_item_id(schema: str, table: str) -> str:
    """The item of a feature table whose request chose no other."""
    return f"postgis-{schema}-{table}"
