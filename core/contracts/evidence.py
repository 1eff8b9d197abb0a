"""What a reviewer looks at before he decides: an item as it would be published, and as the public sees it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from core.models.approvals import ReviewedItemState
from core.models.artifacts import Artifact
from core.models.catalog import GeoTableCatalog, VectorEtlTracking
from core.models.cogs import CogMetadata


@dataclass(frozen=True)
class Snapshot:
    """One revision of an item: its document, and the rows behind it. `staging` is the table that waits, of a draft."""

    item: Mapping[str, JsonValue] | None = None
    cog: CogMetadata | None = None
    table: GeoTableCatalog | None = None
    tracking: VectorEtlTracking | None = None
    staging: str | None = None


@dataclass(frozen=True)
class ItemUnderReview:
    """An item with the revision under review and, where another one is published, that one. `draft` is not served."""

    collection_id: str
    item_id: str
    state: ReviewedItemState
    artifact: Artifact | None
    draft: bool
    new: Snapshot
    published: Snapshot | None


Reviewed = Sequence[ItemUnderReview]
