"""Under which id does the catalogue show a dataset?"""

from __future__ import annotations

import re

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


def slug(text: str) -> str:
    """Lower case, everything but letters and digits as single hyphens."""
    return _NOT_A_WORD.sub("-", text.lower()).strip("-") or "item"


def item_id(*parts: str | None, fallback: str) -> str:
    """The slug of all parts joined by hyphens; that of the fallback when a part is missing."""
    known = [part for part in parts if part]
    return slug("-".join(known) if len(known) == len(parts) else fallback)
