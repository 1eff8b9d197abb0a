"""Which files are behind a STAC item, and which of them did this system make?"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from core.contracts.storage import BlobName, ObjectStorage


def hrefs(item: Mapping[str, JsonValue]) -> dict[str, str]:
    """The item's assets by name; one without an href is none."""
    assets = item.get("assets")
    found = assets if isinstance(assets, dict) else {}
    named = {name: asset.get("href") for name, asset in found.items() if isinstance(asset, dict)}
    return {name: href for name, href in named.items() if isinstance(href, str)}


def output(storage: ObjectStorage, href: str) -> BlobName | None:
    """The file of ours behind an href; None for a foreign one, and for the source that a partner uploaded."""
    name = storage.parse_href(href)
    return None if name is None or name.zone == "bronze" else name
