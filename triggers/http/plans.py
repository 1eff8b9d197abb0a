"""`POST /api/platform/validate`, and `/submit?dry_run=true`: what would come of a request, without doing it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, JsonValue

from core.contracts.plans import Collision, Estimate, PlanFinding, PlannedSource, PlannedStage
from core.contracts.platform import ValidateRequest
from core.models.platform import DataType
from services.platform.planning import Plan
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.scope import Partner

router = APIRouter(prefix="/api/platform", tags=["platform"])


class Refusal(BaseModel):
    """What a submission would be refused with."""

    code: str
    message: str
    hint: str | None


class PlanAnswer(BaseModel):
    """What would happen. `plan_id` submits exactly this; it is null when `valid` is false or the dataset is not named.

    `estimate.seconds` counts from the moment a worker is free. `warnings` are the messages of findings and collisions.
    """

    success: bool = True
    dry_run: bool = True
    valid: bool
    plan_id: str | None
    expires_at: datetime | None
    file_exists: bool
    file_size_mb: float | None
    data_type: DataType | None
    job_type: str | None
    recommended_job_type: str | None
    processing_mode: Literal["docker", "function"] | None
    routing: str | None
    estimated_minutes: float | None
    estimate: Estimate | None
    sources: list[PlannedSource]
    stages: list[PlannedStage]
    outputs: dict[str, JsonValue]
    inspection: dict[str, JsonValue]
    collisions: list[Collision]
    findings: list[PlanFinding]
    warnings: list[str]
    errors: list[Refusal]
    timestamp: datetime


@router.post("/validate")
def validate(request: ValidateRequest, runtime: TheRuntime, base: BaseUrl, caller: Partner) -> PlanAnswer:
    """Find out what would come of a file, or with a dataset's three ids of submitting it. Nothing is processed."""
    plan = runtime.planner.plan(request.as_submit(), caller, base_url=base, keep=request.named)
    return answer(plan, named=request.named, now=runtime.jobs.now())


def answer(plan: Plan, *, named: bool, now: datetime) -> PlanAnswer:
    """A plan as partners see it; of a file without a dataset there are no outputs to name."""
    outline, look = plan.outline, plan.look
    findings = look.findings if look else ()
    size = sum(source.size_bytes for source in plan.sources) / 1e6
    refusal = plan.refusal
    return PlanAnswer(
        valid=refusal is None,
        plan_id=plan.kept and plan.kept.plan_id,
        expires_at=plan.kept and plan.kept.expires_at,
        file_exists=bool(plan.sources),
        file_size_mb=round(size, 3) if plan.sources else None,
        data_type=outline and outline.data_type,
        job_type=outline and outline.job_type,
        recommended_job_type=outline and outline.job_type,
        processing_mode=outline and ("docker" if outline.job_type.endswith("_docker") else "function"),
        routing=outline and outline.reason,
        estimated_minutes=outline and round(outline.estimate.seconds / 60, 2),
        estimate=outline and outline.estimate,
        sources=list(plan.sources),
        stages=list(outline.stages) if outline else [],
        outputs=dict(outline.outputs) if outline and named else {},
        inspection=dict(look.facts) if look else {},
        collisions=list(plan.collisions),
        findings=list(findings),
        warnings=[f.message for f in findings] + [c.message for c in plan.collisions],
        errors=[Refusal(code=refusal.code, message=refusal.message, hint=refusal.hint)] if refusal else [],
        timestamp=now,
    )
