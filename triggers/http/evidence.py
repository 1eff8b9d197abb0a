"""`/api/approvals/{id}/evidence`: what a reviewer looks at before he decides."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, JsonValue

from core.models.approvals import DatasetApproval, ReviewedItemState
from core.models.artifacts import Artifact
from services.approvals.evidence import Evidence, evidence
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.paging import Word
from triggers.http.scope import Reviewer

router = APIRouter(prefix="/api/approvals", tags=["approvals"])


class CheckResult(BaseModel):
    """One thing that was looked at now: `stac`, `cog`, `source`. `valid` is null where it could not be told."""

    name: str
    valid: bool | None
    problems: list[str]


class ItemLineage(BaseModel):
    """Where a revision comes from, and which bytes it was made of."""

    job_id: str
    job_type: str
    request_id: str | None
    submitted_by: str | None
    source: str | None
    source_etag: str | None
    source_size: int | None
    revision: int | None
    supersedes: str | None
    made_at: datetime | None


class ItemEvidence(BaseModel):
    """What is known of one item. `differences` is null where nothing is published that it would replace.

    `links` of a draft beside published data show the draft: its COG under the artifact's id, its table under the name
    by which it waits; of rows that would join a table, these rows.
    """

    stac_collection_id: str
    stac_item_id: str
    state: ReviewedItemState
    draft: bool
    findings: list[dict[str, JsonValue]]
    metadata: dict[str, JsonValue]
    lineage: ItemLineage
    checks: list[CheckResult]
    links: dict[str, dict[str, str]]
    assets: dict[str, str]
    differences: dict[str, JsonValue] | None


class EvidenceAnswer(BaseModel):
    """The record and its items; `item_count` says how many there are in all."""

    approval: DatasetApproval
    item_count: int
    items: list[ItemEvidence]


@router.get("/{approval_id}/evidence")
def of(
    approval_id: Word,
    runtime: TheRuntime,
    base: BaseUrl,
    _: Reviewer,
    limit: Annotated[int, Query(ge=1, le=100, description="How many items at most.")] = 20,
) -> EvidenceAnswer:
    """Findings, metadata, lineage, links, validation, and what would change for the public."""
    record = runtime.approvals.get(approval_id)
    found = [evidence(runtime.storage, item, base) for item in runtime.evidence.of(approval_id, limit)]
    return EvidenceAnswer(approval=record, item_count=record.item_count, items=[_item(e, record) for e in found])


def _item(found: Evidence, record: DatasetApproval) -> ItemEvidence:
    item = found.under_review
    return ItemEvidence(
        stac_collection_id=item.collection_id,
        stac_item_id=item.item_id,
        state=item.state,
        draft=item.draft,
        findings=list(found.findings),
        metadata=found.metadata,
        lineage=_lineage(item.artifact, record),
        checks=[CheckResult(name=c.name, valid=c.valid, problems=list(c.problems)) for c in found.checks],
        links=found.links,
        assets=dict(found.assets),
        differences=found.differences,
    )


def _lineage(artifact: Artifact | None, record: DatasetApproval) -> ItemLineage:
    known = artifact is not None and artifact.source_container is not None
    return ItemLineage(
        job_id=record.job_id,
        job_type=record.job_type,
        request_id=record.request_id,
        submitted_by=record.submitted_by,
        source=f"{artifact.source_container}/{artifact.source_path}" if artifact is not None and known else None,
        source_etag=artifact.source_etag if artifact else None,
        source_size=artifact.source_size if artifact else None,
        revision=artifact.revision if artifact else None,
        supersedes=artifact.supersedes if artifact else None,
        made_at=artifact.created_at if artifact else None,
    )
