"""`/api/jobs/{job_id}/...`: cancel and retry. A job's submitter may do it, and an admin."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from core.errors import Conflict
from core.states import JobStatus
from triggers.http.access import TheRuntime
from triggers.http.paging import Prose
from triggers.http.scope import OwnJob, Partner

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
_NO_REASON = "no reason given"


class Cancel(BaseModel):
    """Why it is stopped; those who look at the job will read it."""

    model_config = ConfigDict(extra="forbid")

    reason: Prose = _NO_REASON


class JobAnswer(BaseModel):
    """What became of a job."""

    success: bool = True
    job_id: str
    run: int
    status: str
    message: str


class RetryAnswer(JobAnswer):
    """A new run that does again what had not succeeded: `reopened` tasks of `stage`, then what follows."""

    previous_run: int
    stage: int
    reopened: int


@router.post("/{job_id}/cancel")
def cancel(job: OwnJob, runtime: TheRuntime, caller: Partner, body: Cancel | None = None) -> JobAnswer:
    """Stop a job: nothing more of it is claimed, and running handlers are told to stop. 409 when it has ended."""
    if not runtime.operations.cancel(job, caller, (body or Cancel()).reason):
        ended = runtime.jobs.job(job.job_id, job.run)
        raise Conflict(
            f"Job {job.job_id} is {ended.status.value} already.", hint="Only a job that goes on can be cancelled."
        )
    return JobAnswer(
        job_id=job.job_id, run=job.run, status=JobStatus.CANCELLED.value, message=f"Cancelled by {caller.name}."
    )


@router.post("/{job_id}/tasks/{stage}/{index}/cancel")
def cancel_task(
    job: OwnJob,
    runtime: TheRuntime,
    caller: Partner,
    stage: Annotated[int, Path(ge=1, le=32767)],
    index: Annotated[int, Path(ge=0, lt=1 << 31)],
    body: Cancel | None = None,
) -> JobAnswer:
    """Stop one task. Its job fails, or goes on without it, as its type says. 409 when the task has ended."""
    runtime.operations.cancel_task(job, stage, index, caller, (body or Cancel()).reason)
    runtime.machine.announce()
    now = runtime.jobs.job(job.job_id, job.run)
    return JobAnswer(
        job_id=job.job_id,
        run=job.run,
        status=now.status.value,
        message=f"Task {index} of stage {stage} was cancelled by {caller.name}; the job is {now.status.value}.",
    )


@router.post("/{job_id}/retry", status_code=202)
def retry(job: OwnJob, runtime: TheRuntime, caller: Partner) -> RetryAnswer:
    """Run again only what did not succeed, as a new run that keeps what did. 409 when there is nothing to retry."""
    made = runtime.operations.retry(job, caller)
    if made is None:
        now = runtime.jobs.job(job.job_id)
        raise Conflict(
            f"Job {job.job_id} is {now.status.value}: nothing of it is to be retried.",
            hint="resubmit does all of a finished job again.",
        )
    runtime.machine.announce()
    return RetryAnswer(
        job_id=job.job_id,
        run=made.run,
        status=JobStatus.QUEUED.value,
        previous_run=job.run,
        stage=made.stage,
        reopened=made.reopened,
        message=f"Run {made.run} starts in stage {made.stage} with {made.reopened} tasks; the rest is kept.",
    )
