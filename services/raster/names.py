"""What are a raster's outputs called?"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import PurePosixPath

from core.contracts.raster import RasterDataset
from core.naming import slug
from services.stac.names import item_id

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_KEY = 255


def stem(filename: str) -> str:
    """The name without its extension, safe in a URL and in a blob path; never empty, never hidden."""
    return _UNSAFE.sub("-", PurePosixPath(filename).stem).strip("-.")[:100] or "raster"


def raster_item_id(dataset: RasterDataset, blob_name: str) -> str:
    """The id asked for, else that of the dataset's version, else one made from collection and blob."""
    if dataset.item_id:
        return dataset.item_id
    ids = (dataset.dataset_id, dataset.resource_id, dataset.version_id)
    return item_id(*ids, fallback=f"{dataset.collection_id}-{blob_name}")


def output_folder(dataset: RasterDataset, blob_name: str) -> str:
    """`dataset/resource/version`, else `collection/item`."""
    ids = [dataset.dataset_id, dataset.resource_id, dataset.version_id]
    if all(ids):
        return "/".join(_UNSAFE.sub("-", part).strip("-.") or "x" for part in ids if part)
    return f"{slug(dataset.collection_id)}/{raster_item_id(dataset, blob_name)}"


def cog_id(collection_id: str, item: str) -> str:
    """The key of `app.cog_metadata`: one row per item; neither part may contain a colon."""
    key = f"{collection_id}:{item}"
    if len(key) <= _LONGEST_KEY:
        return key
    digest = sha256(key.encode()).hexdigest()[:32]
    return f"{key[: _LONGEST_KEY - 33]}-{digest}"
