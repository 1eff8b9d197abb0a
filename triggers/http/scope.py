"""Which job does a route speak of, may the caller see it, and how does it stand?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Query

from composition import Runtime
from core.contracts.principals import Principal
from core.contracts.requests import KnownRequest
from core.contracts.situations import Situation, StageProgress
from core.errors import Forbidden, NotFound
from core.models.access import Role
from core.states import terminal_job_statuses
from infrastructure.postgres.job_views import JobView, StageView
from services.jobs.situation import situation
from triggers.http.access import TheRuntime
from triggers.http.auth import require

_JOB_ID = re.compile("[0-9a-f]{64}")
Partner = Annotated[Principal, Depends(require(Role.PARTNER))]
Reviewer = Annotated[Principal, Depends(require(Role.REVIEWER))]
Member = Annotated[Principal, Depends(require(Role.PARTNER, Role.REVIEWER))]
Admin = Annotated[Principal, Depends(require())]
Run = Annotated[int | None, Query(ge=1, description="Which time the work was processed; the newest without it.")]


def visible_job(runtime: Runtime, job_id: str, caller: Principal, run: int | None = None) -> JobView:
    """The job, if the caller may see it. Raises NotFound, also for a job of somebody else."""
    if not _JOB_ID.fullmatch(job_id):
        raise NotFound(f"There is no job {job_id[:100]!r}.", hint="A job_id has 64 hex digits.")
    job = runtime.jobs.job(job_id, run)
    if not (caller.sees_everything or is_own(runtime, job, caller)):
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def is_own(runtime: Runtime, job: JobView, caller: Principal) -> bool:
    """True for a job of the caller's client, or one that carries out a request of it, whoever asked for it first."""
    return job.submitted_by == caller.client_id or runtime.jobs.asked_for(job.job_id, caller.client_id)


def the_job(job_id: str, runtime: TheRuntime, caller: Partner, run: Run = None) -> JobView:
    """The job of the path."""
    return visible_job(runtime, job_id, caller, run)


def own_job(job_id: str, runtime: TheRuntime, caller: Partner) -> JobView:
    """The newest run of the job of the path, for those who may act on it: who submitted it, and admins."""
    job = visible_job(runtime, job_id, caller)
    if caller.may() or is_own(runtime, job, caller):
        return job
    raise Forbidden(f"Job {job_id} is not {caller.name}'s.", hint="Its submitter or an admin may do this.")


def may_see(known: KnownRequest, caller: Principal) -> bool:
    """True for a request of the caller's client, and for whoever sees all."""
    return caller.may_see(known.request.client_id)


def visible_request(runtime: Runtime, any_id: str, caller: Principal) -> KnownRequest:
    """The request of a request_id or of a job_id. Raises NotFound, also for one of somebody else."""
    known = (runtime.requests.find(any_id) or runtime.requests.find_by_job(any_id)) if "\0" not in any_id else None
    if known is None or not may_see(known, caller):
        raise NotFound(f"No Platform request found for ID: {any_id}", hint="ID can be either a request_id or job_id")
    return known


TheJob = Annotated[JobView, Depends(the_job)]
OwnJob = Annotated[JobView, Depends(own_job)]


def standing(runtime: Runtime, job: JobView, stages: Sequence[StageView]) -> Situation:
    """How the job stands now."""
    ended = job.status in terminal_job_statuses()
    counted = [StageProgress(s.expected, s.remaining, s.running, s.started_at, s.finished_at) for s in stages]
    now = job.updated_at if ended else runtime.jobs.now()
    return situation(job.status, job.total_stages, counted, None if ended else runtime.jobs.open_item(job), now)
