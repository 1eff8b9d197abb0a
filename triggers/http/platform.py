"""`/api/platform`: what partner systems call."""

from __future__ import annotations

import hashlib
from typing import Annotated, assert_never

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from composition import Runtime
from core.contracts.platform import AddToCollection, Operation, SubmitRequest
from core.contracts.principals import Principal
from core.contracts.requests import KnownRequest
from core.contracts.unpublish import DeleteRequest
from core.machine.identity import canonical_json
from infrastructure.postgres.idempotency import StoredAnswer
from infrastructure.postgres.job_views import JobView
from services.platform.access import data_access
from services.platform.planning import Plan
from services.platform.submit import Accepted
from triggers.http import plans, views
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.paging import Word
from triggers.http.scope import Partner, standing, visible_request
from triggers.http.unpublish import UnpublishAnswer, begin

router = APIRouter(prefix="/api/platform", tags=["platform"])
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Made by the caller: a call repeated with it within a week gets the first answer, 409 before that.",
    ),
]


class SubmitAnswer(BaseModel):
    """What became of a submission."""

    success: bool = True
    request_id: str
    job_id: str
    job_type: str
    job_status: str
    routing: str | None
    message: str
    hint: str | None = None
    monitor_url: str
    job_status_url: str


class PlanReference(BaseModel):
    """A dry run's plan, to be submitted as it is."""

    model_config = ConfigDict(extra="forbid")

    plan_id: str = Field(pattern="^pln-[0-9a-f]{32}$")


def _kind(body: object) -> str:
    given = body if isinstance(body, dict) else vars(body)
    if "plan_id" in given:
        return "<plan>"
    return "<delete>" if given.get("operation") == Operation.DELETE else "<request>"


Submission = Annotated[
    Annotated[SubmitRequest, Tag("<request>")]
    | Annotated[DeleteRequest, Tag("<delete>")]
    | Annotated[PlanReference, Tag("<plan>")],
    Discriminator(_kind),
]
Submitted = SubmitAnswer | plans.PlanAnswer | UnpublishAnswer


@router.post("/submit", status_code=202, responses={200: {"model": Submitted}}, response_model=Submitted)
def submit(
    request: Submission,
    runtime: TheRuntime,
    base: BaseUrl,
    caller: Partner,
    response: Response,
    dry_run: bool = False,
    idempotency_key: IdempotencyKey = None,
) -> SubmitAnswer | plans.PlanAnswer | UnpublishAnswer:
    """Process a file of the bronze zone. 202 for new work, 200 with the job it already has for the same request.

    `operation` UPDATE replaces what the same ids made before, DELETE takes it back as `/api/platform/unpublish` does.
    `{"plan_id": ...}` submits exactly what a plan says. With `dry_run` nothing is processed, whatever the body: 200 and
    the plan.
    """
    if idempotency_key is None or dry_run:
        return _carry_out(request, runtime, base, caller, response, dry_run=dry_run)
    digest = hashlib.sha256(canonical_json(request.model_dump(mode="json")).encode()).hexdigest()
    with runtime.idempotency.call(caller.client_id, idempotency_key, digest) as call:
        if call.known is not None:
            response.status_code = call.known.status
            response.headers["Idempotency-Replayed"] = "true"
            model = UnpublishAnswer if isinstance(request, DeleteRequest) else SubmitAnswer
            return model.model_validate(call.known.answer)
        answer = _carry_out(request, runtime, base, caller, response, dry_run=False)
        call.answered = StoredAnswer(response.status_code or 202, answer.model_dump(mode="json"))
    return answer


def _carry_out(
    request: Submission, runtime: Runtime, base: str, caller: Principal, response: Response, *, dry_run: bool
) -> SubmitAnswer | plans.PlanAnswer | UnpublishAnswer:
    match request:
        case DeleteRequest():
            return begin(request.as_unpublish(dry_run=dry_run), runtime, base, caller, response)
        case PlanReference() if dry_run:
            return _told(runtime.planner.plan_again(request.plan_id, caller, base_url=base), runtime, response)
        case SubmitRequest() if dry_run:
            return _told(runtime.planner.plan(request, caller, base_url=base), runtime, response)
        case PlanReference():
            return _answer(runtime.planner.submit(request.plan_id, caller), base, response)
        case SubmitRequest():
            return _answer(runtime.platform.submit(request, caller), base, response)
        case _:
            assert_never(request)


@router.post("/raster/add-to-collection", status_code=202, responses={200: {"model": SubmitAnswer}})
def add_to_collection(
    request: AddToCollection, runtime: TheRuntime, base: BaseUrl, caller: Partner, response: Response
) -> SubmitAnswer:
    """Process a raster into a collection that exists; 404 for one that does not."""
    return _answer(runtime.platform.submit(request.as_submit(), caller), base, response)


def _told(plan: Plan, runtime: Runtime, response: Response) -> plans.PlanAnswer:
    response.status_code = 200
    return plans.answer(plan, named=True, now=runtime.jobs.now())


def _answer(accepted: Accepted, base: str, response: Response) -> SubmitAnswer:
    if not accepted.created:
        response.status_code = 200
    return SubmitAnswer(
        request_id=accepted.request_id,
        job_id=accepted.job_id,
        job_type=accepted.job_type,
        job_status=accepted.job_status.value,
        routing=accepted.routing,
        message="Request accepted" if accepted.created else "Request already submitted (idempotent)",
        hint=accepted.hint,
        monitor_url=f"/api/platform/status/{accepted.request_id}",
        job_status_url=f"{base}/api/jobs/status/{accepted.job_id}",
    )


@router.get("/status/{id}")
def status(id: str, runtime: TheRuntime, base: BaseUrl, caller: Partner, verbose: bool = False) -> dict[str, object]:  # noqa: A002
    """How a request is; the id is a request_id or a job_id."""
    known = visible_request(runtime, id, caller)
    job = runtime.jobs.job(known.request.job_id)
    stages = runtime.jobs.stages(job)
    summary = views.task_summary(stages)
    if verbose:
        summary["tasks"] = [views.task(t, job.job_id) for t in runtime.jobs.tasks(job, 1000)]
    approval = runtime.approvals.of_job(job.job_id)
    return {
        **_request(known),
        "success": True,
        "job_stage": job.stage,
        "total_stages": job.total_stages,
        "job_result": job.result,
        "job_error": views.error(job),
        "task_summary": summary,
        **dict(standing(runtime, job, stages)),
        "approval": approval and {"approval_id": approval.approval_id, "status": approval.status.value},
        "urls": {
            "job_status": f"/api/jobs/status/{job.job_id}",
            "job_tasks": f"/api/jobs/{job.job_id}/tasks",
            "job_events": f"/api/jobs/{job.job_id}/events",
            "job_timeline": f"/api/jobs/{job.job_id}/timeline",
        },
        "data_access": _links(job, base),
    }


@router.get("/status")
def statuses(
    runtime: TheRuntime,
    caller: Partner,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    dataset_id: Word | None = None,
) -> dict[str, object]:
    """The newest requests; a partner's own."""
    found = [_request(known) for known in runtime.requests.newest(limit, dataset_id, caller.sees_only)]
    return {"success": True, "count": len(found), "requests": found}


def _links(job: JobView, base: str) -> object:
    return data_access(job.result, base) if job.result else {}


def _request(known: KnownRequest) -> dict[str, object]:
    request = known.request
    return {
        "request_id": request.request_id,
        "dataset_id": request.dataset_id,
        "resource_id": request.resource_id,
        "version_id": request.version_id,
        "data_type": request.data_type.value,
        "access_level": request.access_level.value,
        "created_at": request.created_at,
        "retry_count": request.retry_count,
        "job_id": request.job_id,
        "job_type": known.job_type,
        "routing": request.routing,
        "job_status": known.job_status.value,
    }
