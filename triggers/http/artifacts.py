"""`/api/artifacts`: every revision of what was made, and bringing one back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from core.errors import InvalidRequest
from core.models.artifacts import Artifact
from triggers.http.access import TheRuntime
from triggers.http.paging import Word
from triggers.http.scope import Admin, Reviewer

router = APIRouter(prefix="/api", tags=["approvals"])


class ArtifactList(BaseModel):
    """Revisions, newest first."""

    count: int
    artifacts: list[Artifact]


class Restored(BaseModel):
    """The new revision, which waits for approval."""

    success: bool = True
    artifact: Artifact
    approval_id: str


@router.get("/artifacts")
def listing(
    runtime: TheRuntime,
    _: Reviewer,
    request_id: Word | None = None,
    collection_id: Word | None = None,
    item_id: Annotated[Word | None, Query(description="With collection_id.")] = None,
) -> ArtifactList:
    """The revisions of an item, or of what a request made."""
    if collection_id is not None and item_id is not None and request_id is None:
        found = runtime.revisions.of_item(collection_id, item_id)
    elif request_id is not None and collection_id is None and item_id is None:
        found = runtime.revisions.of_request(request_id)
    else:
        raise InvalidRequest("Give request_id, or collection_id with item_id.")
    return ArtifactList(count=len(found), artifacts=found)


@router.post("/admin/artifacts/{artifact_id}/restore", status_code=202)
def restore(artifact_id: Word, runtime: TheRuntime, caller: Admin) -> Restored:
    """Bring a replaced revision back as a draft; it is in place once approved."""
    artifact = runtime.revisions.restore(artifact_id, caller)
    assert artifact.approval_id is not None  # asked for in the same transaction
    return Restored(artifact=artifact, approval_id=artifact.approval_id)
