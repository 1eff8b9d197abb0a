"""Blobs as plain files in a folder: `root/container/path`.

Plain files and not obstore's LocalStore, which follows links out of the folder, lists unsorted, shows half-written
parts beside the blob and cannot store names such as `a#1`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from core.contracts.storage import AccessTier, BlobName, StoredBlob
from core.errors import GeomachineError, InvalidRequest, SourceNotFound
from infrastructure.storage.failures import REPLACED, missing, unavailable, unstorable
from infrastructure.storage.gdal import NO_SIBLINGS
from infrastructure.storage.ranges import clip, pieces

# Beside the containers and never one of them: what is half written has no name that anybody can ask for.
_PARTIAL = ".partial"
_ABANDONED_AFTER = 24 * 3600.0

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EILSEQ)
_IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY)
_NOT_A_NAME = (errno.ENAMETOOLONG, errno.EILSEQ)


class LocalStorage:
    """An object store for one machine; several processes may share it. Content types and access tiers are not kept."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._partial = self._root / _PARTIAL
        self._swept = False

    def head(self, name: BlobName) -> StoredBlob:
        """What is stored under the name."""
        with _translated(name):
            return _describe(name, self._existing(name).stat())

    def list(self, container: str, prefix: str = "") -> Iterator[StoredBlob]:
        """All blobs whose path starts with the prefix, in order of path; links that leave the root are left out."""
        BlobName(container, "x")
        with _translated(container):
            for path in _walk(self._root / container, "", prefix):
                with contextlib.suppress(InvalidRequest, SourceNotFound):
                    yield self.head(BlobName(container, path))

    def upload(
        self, source: Path, name: BlobName, *, content_type: str | None = None, access: AccessTier | None = None
    ) -> StoredBlob:
        """Store a copy of the file."""
        with source.open("rb") as opened:
            return self._store(name, lambda partial: shutil.copyfileobj(opened, partial, 1024 * 1024))

    def put(self, data: bytes, name: BlobName, *, content_type: str | None = None) -> StoredBlob:
        """Store bytes."""
        return self._store(name, lambda partial: partial.write(data))

    def download(self, name: BlobName, destination: Path) -> StoredBlob:
        """Write the blob to a local file."""
        with _translated(name):
            blob = self._existing(name).open("rb")
        with blob, destination.open("wb") as file:
            shutil.copyfileobj(blob, file, 1024 * 1024)
            return _describe(name, os.fstat(blob.fileno()))

    def read(self, name: BlobName, *, start: int = 0, length: int | None = None) -> bytes:
        """Some or all of the blob's bytes; fewer, or none, where it ends earlier."""
        end = None if length is None else start + length
        with _translated(name), self._existing(name).open("rb") as blob:
            first, last = clip(start, end, os.fstat(blob.fileno()).st_size)
            blob.seek(first)
            return blob.read(last - first)

    def stream(self, name: BlobName, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The blob's bytes in pieces, all of the version found by this call or else StorageUnavailable."""
        blob = self.head(name)
        first, last = clip(start, end, blob.size)
        return self._pieces(blob, first, last)

    def delete(self, name: BlobName) -> bool:
        """Remove the blob and the folders it leaves empty."""
        try:
            with _translated(name):
                file = self._existing(name)
                file.unlink()
        except SourceNotFound:
            return False
        with contextlib.suppress(OSError):
            for folder in file.parents[: len(Path(name.path).parts) - 1]:
                folder.rmdir()
        return True

    def gdal_path(self, name: BlobName) -> str:
        """The file itself, whether or not it exists; SourceNotFound for a link that leaves the root."""
        return str(self._inside(name))

    def gdal_options(self, name: BlobName) -> Mapping[str, str]:
        """No credentials, but as in Azure: GDAL does not look for files beside the blob."""
        return NO_SIBLINGS

    def href(self, name: BlobName) -> str:
        """A `file://` URL."""
        return self._file(name).as_uri()

    def parse_href(self, href: str) -> BlobName | None:
        """The blob behind a `file://` URL below the root."""
        url = urlsplit(href)
        if url.scheme != "file" or url.netloc not in ("", "localhost") or url.query or url.fragment:
            return None
        try:
            container, _, path = Path(unquote(url.path)).relative_to(self._root).as_posix().partition("/")
            return BlobName(container, path)
        except (ValueError, InvalidRequest):
            return None

    def _file(self, name: BlobName) -> Path:
        return self._root / name.container / name.path

    def _existing(self, name: BlobName) -> Path:
        """The regular file behind the name."""
        file = self._inside(name)
        if not stat.S_ISREG(file.stat().st_mode):
            raise missing(name)
        return file

    def _inside(self, name: BlobName) -> Path:
        file = self._file(name)
        if not self._holds(file):
            raise missing(name)
        return file

    def _holds(self, file: Path) -> bool:
        """Whether the file is below the root once links are followed; realpath, unlike resolve, bears circles."""
        return Path(os.path.realpath(file)).is_relative_to(self._root)

    def _pieces(self, blob: StoredBlob, start: int, end: int) -> Iterator[bytes]:
        with _translated(blob.name), self._existing(blob.name).open("rb") as file:
            if _describe(blob.name, os.fstat(file.fileno())) != blob:
                raise unavailable(blob.name, REPLACED)
            file.seek(start)
            for first, last in pieces(start, end):
                yield file.read(last - first)

    def _store(self, name: BlobName, fill: Callable[[IO[bytes]], object]) -> StoredBlob:
        """Write beside the containers, then rename: the new blob is there whole or not at all."""
        with _translated(name, writing=True):
            self._sweep()
            partial = self._partial / uuid.uuid4().hex
            try:
                with partial.open("xb") as file:
                    fill(file)
                    file.flush()
                    # The clock that stamps files ticks in milliseconds: two writes in one tick would share an etag.
                    os.utime(file.fileno(), ns=(time.time_ns(),) * 2)
                    os.fsync(file.fileno())
                    stored = _describe(name, os.fstat(file.fileno()))
                self._publish(partial, name)
            finally:
                partial.unlink(missing_ok=True)
            return stored

    def _publish(self, partial: Path, name: BlobName) -> None:
        file = self._file(name)
        for _ in range(10):
            # A delete may take the emptied folder away between the two steps: make it again.
            with contextlib.suppress(FileNotFoundError):
                if not self._holds(file.parent):
                    raise unstorable(name, "a link on its way leaves the storage folder")
                file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    partial.replace(file)
                    return
                except IsADirectoryError:
                    file.rmdir()
        raise unavailable(name, "its folder keeps disappearing")

    def _sweep(self) -> None:
        """Once per process, remove what killed writers left behind."""
        self._partial.mkdir(parents=True, exist_ok=True)
        if self._swept:
            return
        for file in self._partial.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _ABANDONED_AFTER:
                    file.unlink()
        self._swept = True


def _describe(name: BlobName, status: os.stat_result) -> StoredBlob:
    etag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
    return StoredBlob(name, status.st_size, etag, datetime.fromtimestamp(status.st_mtime, UTC))


def _walk(folder: Path, path: str, prefix: str) -> Iterator[str]:
    """Paths of files below the folder that start with the prefix, sorted; links to folders are not entered."""
    try:
        with os.scandir(folder) as found:
            # With its slash a folder sorts as its content does: `a.tif` before `a/b`.
            entries = sorted((e.name + "/" * e.is_dir(follow_symlinks=False), e.path) for e in found)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry, location in entries:
        below = path + entry
        if entry.endswith("/"):
            if below.startswith(prefix) or prefix.startswith(below):
                yield from _walk(Path(location), below, prefix)
        elif below.startswith(prefix):
            yield below


@contextlib.contextmanager
def _translated(subject: BlobName | str, *, writing: bool = False) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except OSError as e:
        hint = (
            "Free some disk space." if e.errno == errno.ENOSPC else "Check the storage folder's permissions and disk."
        )
        failure: GeomachineError = unavailable(subject, e.strerror or str(e), hint)
        if isinstance(subject, BlobName):
            if not writing and e.errno in _NOT_THERE:
                failure = missing(subject)
            elif writing and e.errno in _IN_THE_WAY:
                failure = unstorable(subject, "another blob's name continues it or is the beginning of it")
            elif writing and e.errno in _NOT_A_NAME:
                failure = unstorable(subject, "a part of it is too long or not allowed in this file system")
        raise failure from e
