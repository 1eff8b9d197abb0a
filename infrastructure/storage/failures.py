"""The sentences in which both stores report a failure."""

from __future__ import annotations

from core.contracts.storage import BlobName
from core.errors import InvalidRequest, SourceNotFound, StorageUnavailable

REPLACED = "another version replaced it while it was being read"


def missing(name: BlobName) -> SourceNotFound:
    """Nothing is stored under the name."""
    return SourceNotFound(
        f"{name} does not exist in the object store.",
        hint=f"Check container_name and file_name (case matters), or upload the file to {name.container} first.",
    )


def unavailable(subject: BlobName | str, reason: str, hint: str | None = None) -> StorageUnavailable:
    """The store could not do what was asked of it."""
    return StorageUnavailable(f"The object store failed on {subject}: {reason}", hint=hint)


def unstorable(name: BlobName, reason: str) -> InvalidRequest:
    """The store can never hold a blob of this name."""
    return InvalidRequest(f"{name} cannot be stored: {reason}.", hint="Choose another name.")
