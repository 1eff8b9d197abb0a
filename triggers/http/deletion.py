"""`/api/jobs/{job_id}`: run all of it again, or delete it, with what it made if asked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from composition import Runtime
from core.contracts.cleanup import Artifacts, Rows
from core.contracts.principals import Principal
from core.errors import InvalidRequest, StorageUnavailable
from core.states import terminal_job_statuses
from infrastructure.postgres.job_views import JobView
from services.jobs.cleanup import Deleted, delete_blobs
from triggers.http.access import TheRuntime
from triggers.http.scope import OwnJob, Partner

router = APIRouter(prefix="/api/jobs", tags=["jobs"])


class Resubmit(BaseModel):
    """How to run it again. `force` cancels one that has not ended, and lets an admin delete what is published."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False
    delete_artifacts: bool = Field(False, validation_alias=AliasChoices("delete_artifacts", "delete_blobs"))
    force: bool = False


class CleanupSummary(BaseModel):
    """What was deleted, or in a dry run what would be. `published` items need an admin's force."""

    job_deleted: bool = False
    runs_deleted: int = 0
    tasks_deleted: int = 0
    requests_deleted: int = 0
    stac_items_deleted: list[str] = []
    tables_dropped: list[str] = []
    blobs_deleted: list[str] = []
    published: list[str] = []
    errors: list[str] = []


class ResubmitAnswer(BaseModel):
    """The same work as a new run. Same work has the same id, so the two ids are equal; the runs differ."""

    success: bool = True
    dry_run: bool
    original_job_id: str
    new_job_id: str
    job_type: str
    run: int
    cleanup_summary: CleanupSummary
    message: str


class DeleteAnswer(BaseModel):
    """What deleting a job took with it."""

    success: bool = True
    dry_run: bool
    job_id: str
    job_type: str
    cleanup_summary: CleanupSummary
    message: str


@router.post("/{job_id}/resubmit", status_code=202, responses={200: {"model": ResubmitAnswer}})
def resubmit(
    job: OwnJob, runtime: TheRuntime, caller: Partner, response: Response, body: Resubmit | None = None
) -> ResubmitAnswer:
    """Do all of a job again as a new run. With `dry_run` 200 and what would be deleted; 409 for one that goes on."""
    asked = body or Resubmit()
    again = runtime.machine.prepare(
        job.job_type, job.parameters, submitted_by=job.submitted_by, correlation_id=job.correlation_id
    )
    if asked.dry_run:
        response.status_code = 200
        summary = _planned(runtime.artifacts.of(job.job_id) if asked.delete_artifacts else Artifacts(), Rows())
        run, message = job.run, f"Nothing was changed. {_obstacles(job, summary)}"
    else:
        summary = _cleared(runtime, job, caller, force=asked.force) if asked.delete_artifacts else CleanupSummary()
        run = runtime.operations.run_again(job, again, caller, force=asked.force).run
        runtime.machine.announce()
        message = f"Run {run} does all of it again; run {job.run} is kept as history."
    return ResubmitAnswer(
        dry_run=asked.dry_run,
        original_job_id=job.job_id,
        new_job_id=again.job_id,
        job_type=job.job_type,
        run=run,
        cleanup_summary=summary,
        message=message,
    )


@router.delete("/{job_id}")
def delete(
    job: OwnJob,
    runtime: TheRuntime,
    caller: Partner,
    confirm: Annotated[str | None, Query(description="`yes`, unless dry_run.")] = None,
    dry_run: bool = False,
    delete_artifacts: bool = False,
    delete_blobs: Annotated[bool, Query(description="The same as delete_artifacts.")] = False,
    force: bool = False,
) -> DeleteAnswer:
    """Delete every run of a job, and on request what it made. 409 while it goes on, and for what the public sees."""
    artifacts_too = delete_artifacts or delete_blobs
    if dry_run:
        made = runtime.artifacts.of(job.job_id) if artifacts_too else Artifacts()
        summary = _planned(made, runtime.operations.rows(job.job_id))
        message = f"Nothing was changed. {_obstacles(job, summary)}"
    elif confirm != "yes":
        raise InvalidRequest("confirm: deleting a job takes confirm=yes.", hint="dry_run=true shows what would go.")
    else:
        summary = _cleared(runtime, job, caller, force=force) if artifacts_too else CleanupSummary()
        rows = runtime.operations.delete(job, caller, force=force)
        summary = summary.model_copy(update=_gone(rows))
        message = f"Job {job.job_id} is deleted, by {caller.name}."
        runtime.log.info("job_deleted", job_id=job.job_id, by=caller.name, **summary.model_dump())
    return DeleteAnswer(
        dry_run=dry_run, job_id=job.job_id, job_type=job.job_type, cleanup_summary=summary, message=message
    )


def _cleared(runtime: Runtime, job: JobView, caller: Principal, *, force: bool) -> CleanupSummary:
    """Delete what the job made. Raises StorageUnavailable when files stay; its history then says which."""
    removed = runtime.artifacts.remove(job, caller, force=force, unpublish=force and caller.may())
    deleted = delete_blobs(runtime.storage, removed)
    if deleted.errors:
        raise StorageUnavailable(
            f"{len(deleted.errors)} files could not be deleted: {'; '.join(deleted.errors[:5])}.",
            hint="Their catalogue entries are gone and the job is kept. Repeat the request to delete the rest.",
        )
    return _summary(removed, deleted)


def _planned(found: Artifacts, rows: Rows) -> CleanupSummary:
    return _summary(found, Deleted(found.blobs, ())).model_copy(update=_gone(rows))


def _summary(found: Artifacts, deleted: Deleted) -> CleanupSummary:
    return CleanupSummary(
        stac_items_deleted=[f"{i.collection_id}/{i.item_id}" for i in found.items],
        tables_dropped=[f"geo.{t}" for t in found.tables],
        blobs_deleted=list(deleted.blobs),
        published=found.published,
        errors=list(deleted.errors),
    )


def _gone(rows: Rows) -> dict[str, object]:
    return {
        "job_deleted": rows.runs > 0,
        "runs_deleted": rows.runs,
        "tasks_deleted": rows.tasks,
        "requests_deleted": rows.requests,
    }


def _obstacles(job: JobView, summary: CleanupSummary) -> str:
    """What would make the real request fail."""
    found = []
    if job.status not in terminal_job_statuses():
        found.append(f"The job is {job.status.value}: it takes force=true.")
    if summary.published:
        found.append(f"The public sees {', '.join(summary.published)}: it takes force=true and an admin.")
    return " ".join(found) or "Nothing stands against it."
