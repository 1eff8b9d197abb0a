"""What updates of curated datasets see: the registry, and addresses through the guarded client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from config import CuratedSettings
from core.contracts.outbound import Answer, Limits, Outbound
from core.models.curated import CuratedDataset
from infrastructure.postgres.curated import PostgresCurated

_MEGABYTE = 1 << 20


class RegisteredSources:
    """Implements `core.contracts.curated.CuratedSources`."""

    def __init__(self, registry: PostgresCurated, outbound: Outbound, settings: CuratedSettings) -> None:
        self._registry = registry
        self._outbound = outbound
        # Of the content one byte: the headers are what is asked for, and many servers answer HEAD wrongly.
        self._glance = Limits(seconds=settings.check_seconds, size=1, cut=True)
        self._whole = Limits(seconds=settings.download_seconds, size=settings.max_mb * _MEGABYTE)

    def dataset(self, dataset_id: str) -> CuratedDataset:
        """One dataset."""
        return self._registry.dataset(dataset_id)

    def updating(self, dataset_id: str) -> str | None:
        """The job of the earliest update that has not ended."""
        return self._registry.updating(dataset_id)

    def under_review(self, table: str) -> bool:
        """True while a revision of the table waits for a decision."""
        return self._registry.under_review(table)

    def look(self, url: str, headers: Mapping[str, str]) -> Answer:
        """How an address answers."""
        return self._outbound.get(url, self._glance, headers)

    def save(self, url: str, target: Path) -> Answer:
        """Its content as a file."""
        return self._outbound.save(url, target, self._whole)
