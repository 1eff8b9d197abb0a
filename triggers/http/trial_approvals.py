"""`/api/approvals/test`: something to decide on, where nothing was processed. Only on developers' machines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from core.errors import NotFound
from core.models.approvals import DatasetApproval
from core.models.platform import AccessLevel
from infrastructure.postgres.trial_approvals import open_trial
from triggers.http.access import TheRuntime
from triggers.http.scope import Reviewer

router = APIRouter(prefix="/api/approvals", tags=["approvals"])


class TrialBody(BaseModel):
    """What the record says of its job, by default one that never was, and whom the item is for."""

    model_config = ConfigDict(extra="forbid")

    job_id: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    classification: AccessLevel = AccessLevel.OUO


class TrialApproval(BaseModel):
    """The record that waits for a decision."""

    success: bool = True
    message: str
    approval: DatasetApproval


@router.post("/test", status_code=201)
def test(runtime: TheRuntime, caller: Reviewer, body: TrialBody | None = None) -> TrialApproval:
    """Make an item and a review of it, to try the workflow out: 404 unless ENVIRONMENT says development."""
    if not runtime.settings.app.development:
        raise NotFound("There is no such route outside development.", hint="ENVIRONMENT=dev, and not on Azure.")
    body = body or TrialBody()
    record = open_trial(runtime.pool, caller, body.job_id, body.classification)
    return TrialApproval(message="Test approval created", approval=record)
