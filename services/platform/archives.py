"""Does an archive hold a raster or features? Its table of contents says it; only that is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

from core.contracts import raster_formats, vector_formats
from core.contracts.storage import BlobName, ObjectStorage

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})
_RASTERS = frozenset({*raster_formats.SUFFIXES, *raster_formats.IN_ARCHIVE, raster_formats.ZARR}) - _PICTURES
#: Tables and documents lie beside rasters as legends and notes.
_BESIDE = frozenset({".zip", ".txt", ".csv", ".tsv", ".xlsx", ".json"})
_VECTORS = frozenset(f".{extension}" for extension in (*vector_formats.EXTENSIONS, "gdb")) - _BESIDE
_BUFFER = 64 << 10


class _Blob(io.RawIOBase):
    """A blob as a file, read by ranges."""

    def __init__(self, storage: ObjectStorage, name: BlobName) -> None:
        self._storage, self._name = storage, name
        self._size, self._at = storage.head(name).size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the blob."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # narrower than any buffer
        """Read the next bytes."""
        wanted = min(len(buffer), max(0, self._size - self._at))
        found = self._storage.read(self._name, start=self._at, length=wanted) if wanted else b""
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def holds_raster(storage: ObjectStorage, name: BlobName) -> bool:
    """True for an archive with rasters and no features; False also for one that cannot be read: its reader says so."""
    try:
        with zipfile.ZipFile(io.BufferedReader(_Blob(storage, name), _BUFFER)) as archive:
            paths = [PurePosixPath(member) for member in archive.namelist()]
    except zipfile.BadZipFile:
        return False
    suffixes = {suffix.lower() for path in paths for suffix in (PurePosixPath(part).suffix for part in path.parts)}
    return bool(suffixes & _RASTERS) and not suffixes & _VECTORS
