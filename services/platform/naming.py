"""What are a dataset's outputs called? The patterns partners rely on."""

from __future__ import annotations

import re
import unicodedata

from core.errors import InvalidRequest

_MAX_TABLE = 63


def slug(text: str, separator: str) -> str:
    """Lower-case ASCII letters and digits, everything else one separator."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    made = re.sub(r"[^a-z0-9]+", separator, plain).strip(separator)
    if not made:
        raise InvalidRequest(f"{text!r} has no letter or digit to name its outputs with.")
    return made


def table_name(dataset_id: str, resource_id: str, version_id: str) -> str:
    """The PostGIS table, at most 63 bytes. Raises InvalidRequest rather than cut a name that could then collide."""
    name = "_".join(slug(part, "_") for part in (dataset_id, resource_id, version_id))
    if name[0].isdigit():
        name = f"t_{name}"
    if len(name) > _MAX_TABLE:
        raise InvalidRequest(
            f"dataset_id, resource_id and version_id make the table name {name!r} of {len(name)} characters.",
            hint=f"PostgreSQL allows {_MAX_TABLE}: shorten the identifiers.",
        )
    return name


def collection_id(dataset_id: str) -> str:
    """The STAC collection of a dataset's rasters."""
    return slug(dataset_id, "-")


def item_id(dataset_id: str, resource_id: str, version_id: str) -> str:
    """The STAC item of a dataset version."""
    return "-".join(slug(part, "-") for part in (dataset_id, resource_id, version_id))


def output_folder(dataset_id: str, resource_id: str, version_id: str) -> str:
    """The folder of a dataset version's COGs."""
    return "/".join(slug(part, "-") for part in (dataset_id, resource_id, version_id))
