"""A Zarr store is a folder of many objects: fetched as one, described as one blob."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.contracts.storage import BlobName, ObjectStorage, StoredBlob
from core.errors import SourceNotFound, UnsupportedFormat

_MARKS = (".zgroup", ".zarray", ".zattrs", "zarr.json")
MOST_OBJECTS = 100_000


@dataclass(frozen=True)
class Fetched:
    """Where GDAL finds what was gathered, and what it is as a whole."""

    blob: StoredBlob
    path: str


def is_folder(storage: ObjectStorage, name: BlobName) -> bool:
    """True when objects lie under the name."""
    return next(iter(storage.list(name.container, f"{name.path}/")), None) is not None


def together(name: BlobName, parts: Iterable[StoredBlob]) -> StoredBlob:
    """Several blobs as one: sizes added, an etag that changes with any of them."""
    members = sorted(parts, key=lambda part: str(part.name))
    listed = "\n".join(f"{part.name} {part.size} {part.etag}" for part in members)
    return StoredBlob(
        name,
        sum(part.size for part in members),
        hashlib.sha256(listed.encode()).hexdigest()[:32],
        max(part.last_modified for part in members),
    )


def whole(storage: ObjectStorage, name: BlobName) -> StoredBlob:
    """A blob, or the folder of a Zarr store as one. Raises SourceNotFound."""
    if name.suffix == ".zarr" and is_folder(storage, name):
        return together(name, _objects(storage, name))
    return storage.head(name)


def fetch(storage: ObjectStorage, name: BlobName, workdir: Path) -> Fetched:
    """The store on this machine. Raises UnsupportedFormat for a folder that is none."""
    objects = _objects(storage, name)
    if not any(PurePosixPath(part.name.path).name in _MARKS for part in objects):
        raise UnsupportedFormat(f"The folder {name} is no Zarr store: it has no {', '.join(_MARKS)}.")
    local = storage.gdal_path(name)
    if local.startswith("/vsi"):
        target = workdir / "store.zarr"
        for part in objects:
            file = target / part.name.path.removeprefix(f"{name.path}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            storage.download(part.name, file)
        local = str(target)
    return Fetched(together(name, objects), local)


def _objects(storage: ObjectStorage, name: BlobName) -> list[StoredBlob]:
    found: list[StoredBlob] = []
    for part in storage.list(name.container, f"{name.path}/"):
        found.append(part)
        if len(found) > MOST_OBJECTS:
            raise UnsupportedFormat(
                f"{name} has more than {MOST_OBJECTS} objects.", hint="Write it with larger chunks, or as one zip."
            )
    if not found:
        raise SourceNotFound(f"{name} does not exist.")
    return found
