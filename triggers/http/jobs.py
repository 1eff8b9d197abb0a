"""`/api/jobs`: run any job type, and watch it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from pydantic import AwareDatetime, BaseModel, JsonValue

from composition import Runtime
from core.states import JobStatus
from infrastructure.postgres.job_views import JobFilter, JobView, TaskFilter, TaskState
from triggers.http import views
from triggers.http.access import TheRuntime
from triggers.http.history import StageNumber
from triggers.http.paging import Cursor, Limit, Word, cursor, position
from triggers.http.scope import Admin, Partner, TheJob, standing
from triggers.http.timeline import task_cursor, task_position

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
_JOBS = "jobs"
_MESSAGES = {
    "created": "Job created and queued",
    "resubmitted": "The failed job runs again",
    "already_completed": "Job already completed, its result is in result_data",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)  # what PostgreSQL counts in
_AGES = 1 << 57  # microseconds of 4,500 years: a forged cursor stays a date


@router.post("/submit/{job_type}", status_code=202)
def submit(
    job_type: str,
    runtime: TheRuntime,
    caller: Admin,
    response: Response,
    parameters: Annotated[dict[str, JsonValue] | None, Body()] = None,
) -> dict[str, object]:
    """Run a job. The same parameters are the same job: a finished one answers its result, a failed one runs again."""
    asked = runtime.machine.prepare(job_type, parameters or {}, submitted_by=caller.client_id)
    accepted = runtime.operations.submit(asked, caller)
    job = runtime.jobs.job(asked.job_id)
    told: dict[str, object] = {}
    if accepted.created:
        runtime.machine.accepted(asked)
        state = "created" if accepted.run == 1 else "resubmitted"
        told = {"queue_info": _queue_info(runtime, job)} | (_previous(runtime, job) if accepted.run > 1 else {})
    else:
        response.status_code = 200
        state = "already_completed" if job.status is JobStatus.COMPLETED else job.status.value
    return {
        "success": True,
        "status": state,
        "message": _MESSAGES.get(state, f"Job is {state}"),
        "job_id": asked.job_id,
        "job_type": job_type,
        "run": accepted.run,
        "job_status": job.status.value,
        "idempotent": not accepted.created,
        "parameters": job.parameters,
        "result_data": job.result,
        "created_at": job.created_at,
        "completed_at": job.finished_at,
        "current_stage": job.stage,
        "total_stages": job.total_stages,
        **told,
    }


def _queue_info(runtime: Runtime, job: JobView) -> dict[str, object]:
    """Where the work waits. Messages are sent per task, after this answer, so none has an id yet."""
    queue = next((stage.queue for stage in runtime.jobs.stages(job)), None)
    transport = runtime.settings.queue.transport
    return {"queued": True, "queue_type": transport, "queue_name": queue, "message_id": None, "job_id": job.job_id}


def _previous(runtime: Runtime, job: JobView) -> dict[str, object]:
    """The run before, which stays beside the new one: none of its tasks is cleared."""
    old = runtime.jobs.job(job.job_id, job.run - 1)
    return {
        "attempt": job.run,
        "previous_status": old.status.value,
        "previous_stage": old.stage,
        "previous_error": old.error_message,
        "tasks_cleared": 0,
    }


@router.get("/status/{job_id}")
def status(job: TheJob, runtime: TheRuntime, caller: Partner) -> dict[str, object]:
    """A job, its stages and its result; how far it is and what it waits for."""
    stages = runtime.jobs.stages(job)
    told = views.job(job, stages, standing(runtime, job, stages))
    return {**told, "request_id": caller.request_id, "timestamp": runtime.jobs.now()}


class JobSummary(views.JobBrief):
    """One run of a job in a list."""

    submitted_by: str | None
    superseded_at: datetime | None


class JobPage(BaseModel):
    """Some jobs. `next_cursor` is null at the end."""

    count: int
    jobs: list[JobSummary]
    next_cursor: str | None


class RunList(BaseModel):
    """Every run of a piece of work, newest first."""

    job_id: str
    count: int
    runs: list[JobSummary]


class TaskPage(BaseModel):
    """Some tasks of a job. `next_cursor` is null at the end."""

    job_id: str
    run: int
    count: int
    tasks: list[views.Task]
    next_cursor: str | None


@router.get("")
def jobs(
    runtime: TheRuntime,
    caller: Partner,
    limit: Limit = 50,
    after: Cursor = None,
    status: JobStatus | None = None,
    job_type: Word | None = None,
    submitted_by: Word | None = None,
    created_after: Annotated[AwareDatetime | None, Query(description="Not older than this.")] = None,
    created_before: Annotated[AwareDatetime | None, Query(description="Older than this.")] = None,
    q: Annotated[str | None, Query(pattern="^[0-9a-f]{1,64}$", description="How the job_id begins.")] = None,
) -> JobPage:
    """Jobs in their newest run, newest first, a page at a time. A partner's list holds what its client submitted."""
    if not caller.sees_everything:
        if submitted_by not in (None, caller.client_id):
            return JobPage(count=0, jobs=[], next_cursor=None)
        submitted_by = caller.client_id
    found = position(_JOBS, after, 2)
    before = (_EPOCH + timedelta(microseconds=found[0] % _AGES), found[1]) if found else None
    wanted = JobFilter(status, job_type, submitted_by, created_after, created_before, q, before)
    rows = runtime.jobs.jobs(wanted, limit)
    more = len(rows) == limit
    return JobPage(
        count=len(rows),
        jobs=[JobSummary.model_validate(row, from_attributes=True) for row in rows],
        next_cursor=cursor(_JOBS, (rows[-1].created_at - _EPOCH) // _TICK, rows[-1].job_key) if more else None,
    )


@router.get("/{job_id}/runs")
def runs(job: TheJob, runtime: TheRuntime, limit: Limit = 50) -> RunList:
    """Every time this piece of work was processed, newest first."""
    rows = runtime.jobs.runs(job.job_id, limit)
    found = [JobSummary.model_validate(row, from_attributes=True) for row in rows]
    return RunList(job_id=job.job_id, count=len(found), runs=found)


@router.get("/{job_id}/tasks")
def tasks(
    job: TheJob,
    runtime: TheRuntime,
    limit: Limit = 100,
    after: Cursor = None,
    status: TaskState | None = None,
    stage: StageNumber = None,
    worker: Word | None = None,
    error_code: Word | None = None,
) -> TaskPage:
    """Tasks in order of stage and index, a page at a time."""
    wanted = TaskFilter(status, stage, worker, error_code, task_position(after))
    rows = runtime.jobs.tasks(job, limit, wanted)
    return TaskPage(
        job_id=job.job_id,
        run=job.run,
        count=len(rows),
        tasks=[views.task(t, job.job_id) for t in rows],
        next_cursor=task_cursor(rows, limit),
    )
