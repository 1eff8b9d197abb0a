"""Evidence for a reviewer, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from core.contracts import assets
from core.contracts.evidence import ItemUnderReview
from core.contracts.storage import BlobName, ObjectStorage
from services.approvals.checks import Check, cog_check, source_check, stac_check
from services.approvals.differences import differences
from services.platform.access import Links, draft_links, item_links

Json = dict[str, JsonValue]


@dataclass(frozen=True)
class Evidence:
    """What is known of an item. `differences` is None where nothing is published that it would replace."""

    under_review: ItemUnderReview
    metadata: Json
    findings: Sequence[Json]
    checks: Sequence[Check]
    links: Links
    assets: Mapping[str, str] = field(default_factory=dict)
    differences: Json | None = None


def evidence(storage: ObjectStorage, found: ItemUnderReview, base_url: str) -> Evidence:
    """Gather it. Reads the headers of the item's COG."""
    new = found.new
    checks = [stac_check(new.item), source_check(storage, found.artifact)]
    if new.cog is not None:
        checks.append(cog_check(storage, BlobName(new.cog.container, new.cog.blob_path)))
    return Evidence(
        under_review=found,
        metadata=_metadata(found),
        findings=[
            *((new.cog.findings if new.cog else None) or []),
            *((new.tracking.findings if new.tracking else None) or []),
        ],
        checks=checks,
        links=_links(found, base_url),
        assets=_assets(storage, new.item, base_url),
        differences=differences(new, found.published) if found.published is not None else None,
    )


def _links(found: ItemUnderReview, base_url: str) -> Links:
    new = found.new
    if found.draft and found.artifact is not None and (new.cog is not None or new.staging is not None):
        return draft_links(found.collection_id, found.artifact.artifact_id, new.staging, base_url)
    return item_links(new.item, base_url) if new.item is not None and not found.draft else {}


def _metadata(found: ItemUnderReview) -> Json:
    item, new = found.new.item or {}, found.new
    metadata: Json = {"bbox": item.get("bbox"), "properties": item.get("properties")}
    if new.cog is not None:
        names = {
            "width",
            "height",
            "band_count",
            "dtype",
            "crs",
            "nodata",
            "resolution",
            "raster_type",
            "size_bytes",
            "checksum",
        }
        metadata["raster"] = new.cog.model_dump(mode="json", include=names | {"statistics"})
    if new.table is not None:
        names = {"table_name", "feature_count", "geometry_type", "geometry_types", "srid", "column_definitions"}
        metadata["table"] = new.table.model_dump(mode="json", include=names)
    return metadata


def _assets(storage: ObjectStorage, item: Mapping[str, JsonValue] | None, base_url: str) -> dict[str, str]:
    """Where each file of the item can be fetched by those who may see drafts."""
    files = {name: assets.output(storage, href) for name, href in assets.hrefs(item or {}).items()}
    return {name: f"{base_url}/api/assets/{file}" for name, file in files.items() if file is not None}
