"""Getting a local file into the bronze zone, once per content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.contracts.storage import BlobName, ObjectStorage
from core.errors import SourceNotFound
from core.models.platform import DataType
from services.platform.naming import slug
from services.platform.translate import data_type_of

_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """A file to submit, and the identifiers it is submitted under."""

    file: Path
    dataset_id: str
    resource_id: str
    version_id: str


def identified(file: Path, dataset_id: str, resource_id: str | None = None, version_id: str | None = None) -> Dataset:
    """A dataset named by its file and versioned by its content. Raises SourceNotFound."""
    if not file.is_file():
        raise SourceNotFound(f"There is no file {file}.")
    resource = resource_id or slug(file.stem, "-")[:32].strip("-")
    return Dataset(file, dataset_id, resource, version_id or _digest(_parts(file)))


def upload(storage: ObjectStorage, dataset: Dataset) -> BlobName:
    """Store the file, and a Shapefile's siblings, under a name made from the content; skip what is there already."""
    parts = _parts(dataset.file)
    folder = f"uploads/{_digest(parts)}"
    main = BlobName(_container(dataset.file), f"{folder}/{dataset.file.name}")
    for part in sorted(parts, key=lambda p: p == dataset.file):  # the main file last: it is what readers look for
        name = BlobName(main.container, f"{folder}/{part.name}")
        if not _stored(storage, name, part.stat().st_size):
            storage.upload(part, name)
    return main


def _container(file: Path) -> str:
    kind = data_type_of(BlobName("bronze-misc", file.name))
    return "bronze-rasters" if kind is DataType.RASTER else "bronze-vectors"


def _stored(storage: ObjectStorage, name: BlobName, size: int) -> bool:
    try:
        return storage.head(name).size == size
    except SourceNotFound:
        return False


def _parts(file: Path) -> list[Path]:
    if file.suffix.lower() != ".shp":
        return [file]
    return sorted(p for p in file.parent.glob(f"{file.stem}.*") if p.suffix.lower() in _SHAPEFILE_PARTS)


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()[:8]
