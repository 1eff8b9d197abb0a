"""`/api/jobs`: run any job type, and watch it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import JsonValue

from core.states import JobStatus
from triggers.http import views
from triggers.http.access import TheRuntime
from triggers.http.auth import Principal, Role, require

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
Admin = Annotated[Principal, Depends(require())]
Partner = Annotated[Principal, Depends(require(Role.PARTNER))]


@router.post("/submit/{job_type}", status_code=202)
def submit(
    job_type: str,
    runtime: TheRuntime,
    caller: Admin,
    response: Response,
    parameters: Annotated[dict[str, JsonValue] | None, Body()] = None,
) -> dict[str, object]:
    """Run a job. The same parameters are the same job: a finished one answers its result, a failed one runs again."""
    made = runtime.machine.submit(job_type, parameters or {}, submitted_by=caller.name)
    job = runtime.jobs.job(made.job_id)
    if made.accepted.created:
        state = "created" if made.accepted.run == 1 else "resubmitted"
    else:
        response.status_code = 200
        state = "already_completed" if job.status is JobStatus.COMPLETED else job.status.value
    return {
        "success": True,
        "status": state,
        "job_id": made.job_id,
        "job_type": job_type,
        "run": made.accepted.run,
        "job_status": job.status.value,
        "idempotent": not made.accepted.created,
        "parameters": job.parameters,
        "result_data": job.result,
        "created_at": job.created_at,
    }


@router.get("/status/{job_id}")
def status(job_id: str, runtime: TheRuntime, _: Partner) -> dict[str, object]:
    """A job, its stages and its result."""
    job = runtime.jobs.job(job_id)
    return views.job(job, runtime.jobs.stages(job))


@router.get("")
def jobs(
    runtime: TheRuntime,
    _: Partner,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    status: JobStatus | None = None,
    job_type: str | None = None,
) -> dict[str, object]:
    """The newest jobs."""
    found = runtime.jobs.jobs(limit=limit, status=status and status.value, job_type=job_type)
    rows = [
        {
            "job_id": j.job_id,
            "job_type": j.job_type,
            "status": j.status.value,
            "stage": j.stage,
            "total_stages": j.total_stages,
            "created_at": j.created_at,
            "finished_at": j.finished_at,
        }
        for j in found
    ]
    return {"count": len(rows), "jobs": rows}


@router.get("/{job_id}/events")
def events(
    job_id: str,
    runtime: TheRuntime,
    _: Partner,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: Annotated[int, Query(ge=0, description="Continue after this event_id.")] = 0,
    event_type: str | None = None,
    include_task_events: bool = True,
) -> dict[str, object]:
    """What happened to a job, oldest first."""
    job = runtime.jobs.job(job_id)
    found = runtime.jobs.events(job, limit=limit, after=after, event_type=event_type, task_events=include_task_events)
    rows = [views.event(e, job_id) for e in found]
    return {
        "job_id": job_id,
        "event_count": len(rows),
        "events": rows,
        "next_after": found[-1].event_id if len(found) == limit else None,
    }
