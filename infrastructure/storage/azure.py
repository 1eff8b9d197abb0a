"""Blobs in Azure: one storage account per zone, reached through obstore's blocking API.

Never through obstore.fsspec: it aborts the interpreter at exit now and then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import AzureStore

from core.contracts.storage import AccessTier, BlobName, StoredBlob
from core.errors import ConfigurationError, GeomachineError, InvalidRequest, SourceNotFound
from infrastructure.storage.accounts import Account
from infrastructure.storage.failures import REPLACED, missing, unavailable
from infrastructure.storage.gdal import NO_SIBLINGS
from infrastructure.storage.ranges import PIECE, clip, pieces

if TYPE_CHECKING:
    from obstore import ObjectMeta

# Pieces on their way at once: memory is bounded by this many.
_PARALLEL = 4


class AzureStorage:
    """An object store over Azure Blob Storage or its emulator. Safe to share between threads."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._stores: dict[str, AzureStore] = {}

    def head(self, name: BlobName) -> StoredBlob:
        """What is stored under the name."""
        with _translated(name):
            return _describe(name, obstore.head(self._store(name.container), name.path))

    def list(self, container: str, prefix: str = "") -> Iterator[StoredBlob]:
        """All blobs whose path starts with the prefix, in order of path; fetched page by page."""
        BlobName(container, "x")
        # obstore's prefix is a whole folder, so what follows the last slash is compared here.
        folder = prefix.rpartition("/")[0]
        try:
            for page in obstore.list(self._store(container), prefix=folder or None, chunk_size=1000):
                for meta in page:
                    with contextlib.suppress(InvalidRequest):
                        if meta["path"].startswith(prefix):
                            yield _describe(BlobName(container, meta["path"]), meta)
        except BaseError as e:
            # obstore has a class for a missing blob, none for a missing container.
            if "ContainerNotFound" not in str(e):
                raise _failure(container, e) from e

    def upload(
        self, source: Path, name: BlobName, *, content_type: str | None = None, access: AccessTier | None = None
    ) -> StoredBlob:
        """Store a file, in blocks that become the blob in one last step; then set its access tier."""
        source.stat()
        stored = self._write(source, name, content_type)
        if access is not None:
            self._account(name.container).set_tier(name, access)
        return stored

    def put(self, data: bytes, name: BlobName, *, content_type: str | None = None) -> StoredBlob:
        """Store bytes."""
        return self._write(data, name, content_type)

    def download(self, name: BlobName, destination: Path) -> StoredBlob:
        """Write the blob to a local file, several pieces at a time."""
        blob = self.head(name)
        store = self._store(name.container)
        with destination.open("wb") as file:
            ranges = list(pieces(0, blob.size))
            for i in range(0, len(ranges), _PARALLEL):
                starts, ends = zip(*ranges[i : i + _PARALLEL], strict=True)
                with _translated(name):
                    parts = obstore.get_ranges(store, name.path, starts=starts, ends=ends, coalesce=0)
                file.writelines(parts)
        # get_ranges cannot pin a version, so a blob replaced meanwhile shows only here.
        if self.head(name).etag != blob.etag:
            raise unavailable(name, REPLACED)
        return blob

    def read(self, name: BlobName, *, start: int = 0, length: int | None = None) -> bytes:
        """Some or all of the blob's bytes; fewer, or none, where it ends earlier."""
        blob = self.head(name)
        first, last = clip(start, None if length is None else start + length, blob.size)
        return self._fetch(blob, first, last)

    def stream(self, name: BlobName, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The blob's bytes in pieces, all of the version found by this call or else StorageUnavailable."""
        blob = self.head(name)
        first, last = clip(start, end, blob.size)
        return (self._fetch(blob, *piece) for piece in pieces(first, last))

    def delete(self, name: BlobName) -> bool:
        """Remove the blob."""
        try:
            with _translated(name):
                obstore.delete(self._store(name.container), name.path)
        except SourceNotFound:
            return False
        return True

    def gdal_path(self, name: BlobName) -> str:
        """The path in GDAL's file system for Azure."""
        return f"/vsiaz/{name}"

    def gdal_options(self, name: BlobName) -> Mapping[str, str]:
        """The account's credential, and no memory of what GDAL once saw where blobs may be replaced.

        Without them a long-lived worker does not find a blob uploaded after GDAL listed its folder or missed it once.
        Outputs have immutable names, so their headers may stay cached, which is what makes tiles fast.
        """
        options = {**self._account(name.container).gdal_options(), **NO_SIBLINGS}
        if name.zone == "bronze":
            options["CPL_VSIL_CURL_NON_CACHED"] = "/vsiaz/"
        return options

    def href(self, name: BlobName) -> str:
        """The GDAL path, which readers of the catalogue open as it is."""
        return self.gdal_path(name)

    def parse_href(self, href: str) -> BlobName | None:
        """The blob behind a `/vsiaz/` path."""
        container, _, path = href.removeprefix("/vsiaz/").partition("/")
        try:
            return BlobName(container, path) if href.startswith("/vsiaz/") else None
        except InvalidRequest:
            return None

    def _account(self, container: str) -> Account:
        zone = container.partition("-")[0]
        if zone not in self._accounts:
            raise ConfigurationError(
                f"No storage account is configured for {container}.", hint=f"Set {zone.upper()}_STORAGE_ACCOUNT."
            )
        return self._accounts[zone]

    def _store(self, container: str) -> AzureStore:
        # Two threads may both connect; the first one's client stays.
        if container not in self._stores:
            self._stores.setdefault(container, self._account(container).connect(container))
        return self._stores[container]

    def _fetch(self, blob: StoredBlob, first: int, last: int) -> bytes:
        """Bytes of exactly this version."""
        if first == last:
            return b""
        store = self._store(blob.name.container)
        with _translated(blob.name):
            got = obstore.get(store, blob.name.path, options={"range": (first, last), "if_match": blob.etag})
            return got.bytes().to_bytes()

    def _write(self, content: Path | bytes, name: BlobName, content_type: str | None) -> StoredBlob:
        store = self._store(name.container)
        attributes = {"Content-Type": content_type} if content_type else None

        def write() -> None:
            with _translated(name):
                obstore.put(
                    store, name.path, content, attributes=attributes, chunk_size=PIECE, max_concurrency=_PARALLEL
                )

        try:
            write()
        except SourceNotFound:
            # Only the container can be missing when a blob is written.
            self._account(name.container).create(name.container)
            write()
        return self.head(name)


def _describe(name: BlobName, meta: ObjectMeta) -> StoredBlob:
    # A listing gives the etag bare, a single blob's header gives it in quotes.
    etag = (meta["e_tag"] or "").strip('"')
    return StoredBlob(name, meta["size"], f'"{etag}"', meta["last_modified"])


@contextlib.contextmanager
def _translated(name: BlobName) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as e:
        raise _failure(name, e) from e


def _failure(subject: BlobName | str, error: BaseError | OSError) -> GeomachineError:
    """Our error for obstore's."""
    if isinstance(error, FileNotFoundError) and isinstance(subject, BlobName):
        return missing(subject)
    if isinstance(error, PreconditionError):
        return unavailable(subject, REPLACED)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        hint = "Give this process the role Storage Blob Data Contributor on the account, or a valid connection string."
        return unavailable(subject, "access was refused", hint)
    reason = str(error)
    if "InvalidBlockList" in reason:
        # The first of two writers to finish throws away the other's blocks.
        return unavailable(subject, "another writer stored it at the same moment")
    return unavailable(subject, reason.splitlines()[0][:300], "Check the account's name, its firewall and the network.")
