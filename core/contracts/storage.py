"""The object store as the pipelines see it.

A *container* is a named flat bucket (`bronze-rasters`); a *path* is a key in it, with `/` between parts and no
leading slash. Every container belongs to the zone its name starts with: bronze (input), silver and silverext (output),
gold (exports).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import AfterValidator

from core.errors import InvalidRequest

_CONTAINER = re.compile(r"(bronze|silver|silverext|gold)(-[a-z0-9]{1,52})+")
# Control characters, backslash, and halves of a surrogate pair, which JSON can carry but UTF-8 cannot.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


@dataclass(frozen=True)
class BlobName:
    """Where a blob is. Construction refuses names that could leave their container."""

    container: str
    path: str

    def __post_init__(self) -> None:
        if len(self.container) > 63 or not _CONTAINER.fullmatch(self.container):
            raise InvalidRequest(
                f"container_name {self.container!r} is not a container of this system.",
                hint="Use bronze-, silver- or gold- followed by lower-case letters, digits and hyphens.",
            )
        parts = self.path.split("/")
        if not self.path or len(self.path) > 900 or _FORBIDDEN.search(self.path):
            raise InvalidRequest(f"file_name {self.path[:80]!r} is empty, too long or has control characters.")
        # Azure drops dots from the end of a part, so `a.` and `a` would be one blob there and two elsewhere.
        if any(not part or part.endswith(".") for part in parts):
            raise InvalidRequest(
                f"file_name {self.path!r} is not a plain relative path.",
                hint="Give the path inside the container, such as folder/file.tif.",
            )

    @property
    def zone(self) -> str:
        """bronze, silver, silverext or gold."""
        return self.container.split("-", 1)[0]

    @property
    def suffix(self) -> str:
        """The lower-case extension with its dot, or nothing."""
        return Path(self.path).suffix.lower()

    def __str__(self) -> str:
        return f"{self.container}/{self.path}"


class AccessTier(StrEnum):
    """How a blob is kept where the store has a choice of price; all of them can be read at once."""

    HOT = "Hot"  #: read often
    COOL = "Cool"  #: cheap to keep, dear to read


def _container(value: str) -> str:
    try:
        BlobName(value, "x")
    except InvalidRequest as e:
        raise ValueError(str(e)) from e
    return value


#: A field that names a container of this system.
ContainerName = Annotated[str, AfterValidator(_container)]


@dataclass(frozen=True)
class StoredBlob:
    """What the store knows of a blob. `size` in bytes; `etag` changes whenever the bytes do."""

    name: BlobName
    size: int
    etag: str
    last_modified: datetime


class ObjectStorage(Protocol):
    """Blobs in containers. Writing makes a missing container where the store may do so.

    Reading raises SourceNotFound or StorageUnavailable, writing StorageUnavailable, or InvalidRequest for a name the
    store cannot hold. An OSError of the caller's own `source` or `destination` comes through as it is.
    Names of outputs are immutable: a new output gets a new name, so that no cache can serve old bytes under it.
    """

    def head(self, name: BlobName) -> StoredBlob:
        """What is stored under the name."""
        ...

    def list(self, container: str, prefix: str = "") -> Iterator[StoredBlob]:
        """All blobs whose path starts with the prefix, in order of path; nothing for a missing container."""
        ...

    def upload(
        self, source: Path, name: BlobName, *, content_type: str | None = None, access: AccessTier | None = None
    ) -> StoredBlob:
        """Store a file, replacing what was there in one step; no reader sees half of it.

        Without `access` it is kept as the store is set up; a store without tiers ignores it.
        """
        ...

    def put(self, data: bytes, name: BlobName, *, content_type: str | None = None) -> StoredBlob:
        """Store bytes, as `upload` does."""
        ...

    def download(self, name: BlobName, destination: Path) -> StoredBlob:
        """Write the blob to a local file."""
        ...

    def read(self, name: BlobName, *, start: int = 0, length: int | None = None) -> bytes:
        """Some or all of the blob's bytes; fewer, or none, where it ends before the range does."""
        ...

    def stream(self, name: BlobName, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The blob's bytes from `start` up to, not including, `end`, in pieces of bounded size.

        A missing blob is reported by the call itself, before the first piece is asked for.
        """
        ...

    def delete(self, name: BlobName) -> bool:
        """Remove the blob; False when it was not there."""
        ...

    def gdal_path(self, name: BlobName) -> str:
        """What GDAL opens: `/vsiaz/container/path`, or an absolute file path."""
        ...

    def gdal_options(self, name: BlobName) -> Mapping[str, str]:
        """GDAL configuration options that opening its path needs: credentials of its account and cache rules.

        Ask again for each opening: a token among them lives for minutes.
        """
        ...

    def href(self, name: BlobName) -> str:
        """What a STAC asset's href stores; `parse_href` is its inverse."""
        ...

    def parse_href(self, href: str) -> BlobName | None:
        """The blob behind an href this store made, or None for a foreign one."""
        ...
