"""Deleting what a job made, and the job: the catalogue entry first, then the files, the job's own rows last.

Whoever finds an entry finds its file. A deletion that is cut short is told in the job's history, and the next one
takes up what it left.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.cleanup import Artifacts
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import GeomachineError


@dataclass(frozen=True)
class Deleted:
    """Which files are gone, and why others are not."""

    blobs: tuple[str, ...]
    errors: tuple[str, ...]


def delete_blobs(storage: ObjectStorage, artifacts: Artifacts) -> Deleted:
    """Delete every file; one that refuses does not stop the others. A file that was gone already counts as deleted."""
    deleted: list[str] = []
    errors: list[str] = []
    for text in artifacts.blobs:
        container, _, path = text.partition("/")
        try:
            storage.delete(BlobName(container, path))
        except GeomachineError as e:
            errors.append(f"{text}: {e.message}")
        else:
            deleted.append(text)
    return Deleted(tuple(deleted), tuple(errors))
