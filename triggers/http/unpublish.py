"""`/api/platform/unpublish`: taking a dataset back, whichever way it is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response
from pydantic import BaseModel, JsonValue

from composition import Runtime
from core.contracts import curated
from core.contracts.principals import Principal
from core.contracts.unpublish import UnpublishRequest
from core.errors import Conflict, Forbidden, NotFound
from core.machine.store import NewJob
from core.models.platform import DataType
from core.states import JobStatus
from infrastructure.postgres.datasets import Target
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.scope import Partner, visible_request

router = APIRouter(prefix="/api/platform", tags=["platform"])
_MOST = 1000  #: items that one request takes back


class UnpublishJob(BaseModel):
    """A job that takes one item back. `is_retry` when an earlier one of the same work had not succeeded."""

    job_id: str
    job_type: str
    data_type: DataType
    table_name: str | None
    stac_item_id: str | None
    collection_id: str | None
    is_retry: bool
    already_submitted: bool
    monitor_url: str
    job_status_url: str


class UnpublishAnswer(BaseModel):
    """What was begun. The fields of a single job stand beside `jobs`; of a collection there are counts."""

    success: bool = True
    mode: str
    dry_run: bool
    request_id: str | None
    job_id: str | None
    job_type: str | None
    data_type: DataType | None
    table_name: str | None
    stac_item_id: str | None
    collection_id: str | None
    is_retry: bool | None
    total_items: int
    jobs_submitted: int
    jobs_retried: int
    jobs_skipped: int
    jobs: list[UnpublishJob]
    message: str
    monitor_url: str | None
    job_status_url: str | None


@dataclass(frozen=True)
class Meant:
    """What a request means."""

    targets: Sequence[Target]
    request_id: str | None = None


@router.post("/unpublish", status_code=202, responses={200: {"model": UnpublishAnswer}})
def unpublish(
    request: UnpublishRequest, runtime: TheRuntime, base: BaseUrl, caller: Partner, response: Response
) -> UnpublishAnswer:
    """Take a dataset out of the catalogue, then its table or files. Nothing is removed unless `dry_run` is false.

    What the public sees is taken back only with `force_approved`, by an admin.
    """
    return begin(request, runtime, base, caller, response)


def begin(
    request: UnpublishRequest, runtime: Runtime, base: str, caller: Principal, response: Response
) -> UnpublishAnswer:
    """Submit a job for each item that is meant; all of them or none."""
    if request.force_approved and not caller.may():
        raise Forbidden("force_approved takes the role admin.", hint="Have the approval revoked, then unpublish.")
    meant = _meant(request, runtime, caller)
    _allowed(request, meant.targets, caller)
    planned = [_planned(target, request, runtime, caller) for target in meant.targets]
    before = runtime.jobs.statuses([job.job_id for job in planned])
    accepted = runtime.operations.submit_all(planned, caller)
    runtime.machine.announce()
    jobs = [
        UnpublishJob(
            job_id=job.job_id,
            job_type=job.job_type,
            data_type=DataType.VECTOR if target.table_name else DataType.RASTER,
            table_name=target.table_name,
            stac_item_id=target.item_id,
            collection_id=target.collection_id,
            is_retry=now.created and before.get(job.job_id) is JobStatus.FAILED,
            already_submitted=not now.created,
            monitor_url=f"/api/jobs/status/{job.job_id}",
            job_status_url=f"{base}/api/jobs/status/{job.job_id}",
        )
        for target, job, now in zip(meant.targets, planned, accepted, strict=True)
    ]
    if all(job.already_submitted for job in jobs):
        response.status_code = 200
    return _answer(request, meant, jobs)


def _meant(request: UnpublishRequest, runtime: Runtime, caller: Principal) -> Meant:
    """The first way of naming that was given. Raises NotFound for what is not there, or not the caller's to know."""
    find = runtime.datasets.targets
    if request.request_id or request.job_id:
        known = visible_request(runtime, request.request_id or request.job_id or "", caller)
        return Meant(_some(find("job", job_id=known.request.job_id), "its outputs"), known.request.request_id)
    if request.dataset_id and request.resource_id and request.version_id:
        ids = {k: getattr(request, k) for k in ("dataset_id", "resource_id", "version_id")}
        return Meant(_some(find("dataset", **ids), f"dataset {' / '.join(ids.values())}"))
    if request.table_name:
        return Meant(_some(find("table", table_name=request.table_name), f"table {request.table_name!r}"))
    names = {"collection_id": request.collection_id or ""}
    if request.stac_item_id:
        names["item_id"] = request.stac_item_id
        return Meant(_some(find("item", **names), f"item {request.stac_item_id!r} in {request.collection_id!r}"))
    return Meant(_some(find("collection", **names), f"collection {request.collection_id!r}"))


def _some(found: list[Target], what: str) -> list[Target]:
    if not found:
        raise NotFound(f"The catalogue has nothing of {what}.", hint="It may have been unpublished before.")
    if len(found) > _MOST:
        raise Conflict(
            f"{what} has more than {_MOST} items.", hint="Unpublish it a dataset at a time, or item by item."
        )
    return found


def _allowed(request: UnpublishRequest, targets: Sequence[Target], caller: Principal) -> None:
    """Raise NotFound for what is not the caller's, Conflict for what the data type or the public forbids."""
    for target in targets:
        name = target.table_name or target.item_id
        if not (caller.may() or target.client_id == caller.client_id):
            raise NotFound(f"The catalogue has no {name!r} of yours.")
        if (target.table_name or "").startswith(curated.PREFIX) and not caller.may():
            raise Forbidden(f"{name} is a curated table, which the system keeps itself.", hint="An admin may do this.")
        kind = DataType.VECTOR if target.table_name else DataType.RASTER
        if request.data_type not in (None, kind):
            raise Conflict(f"{name} is {kind.value} data, not {request.data_type}.", hint="Leave data_type out.")
        if target.published and not (request.dry_run or request.force_approved):
            raise Conflict(
                f"{name} is approved: the public sees it.",
                hint="Revoke its approval first; an admin can also send force_approved=true.",
            )


def _planned(target: Target, request: UnpublishRequest, runtime: Runtime, caller: Principal) -> NewJob:
    parameters: dict[str, JsonValue] = {
        "dry_run": request.dry_run,
        "force_approved": request.force_approved,
        "delete_collection": request.delete_collection,
        "reason": request.reason,
        "requested_by": caller.name,
    }
    if target.table_name is not None:
        job_type = "unpublish_vector"
        parameters |= {"table_name": target.table_name}
    else:
        job_type = "unpublish_raster"
        parameters |= {"stac_item_id": target.item_id, "collection_id": target.collection_id}
    return runtime.machine.prepare(job_type, parameters, submitted_by=caller.client_id)


def _answer(request: UnpublishRequest, meant: Meant, jobs: list[UnpublishJob]) -> UnpublishAnswer:
    alone = jobs[0] if len(jobs) == 1 else None
    skipped = sum(job.already_submitted for job in jobs)
    retried = sum(job.is_retry for job in jobs)
    verb = "would be taken back" if request.dry_run else "are being taken back"
    message = f"{len(jobs)} item{'s' if len(jobs) > 1 else ''} {verb}."
    if skipped == len(jobs):
        message = "Unpublish request already submitted."
    return UnpublishAnswer(
        mode="item" if alone else "collection",
        dry_run=request.dry_run,
        request_id=meant.request_id,
        job_id=alone and alone.job_id,
        job_type=alone and alone.job_type,
        data_type=alone and alone.data_type,
        table_name=alone and alone.table_name,
        stac_item_id=alone and alone.stac_item_id,
        collection_id=jobs[0].collection_id,
        is_retry=alone and alone.is_retry,
        total_items=len(jobs),
        jobs_submitted=len(jobs) - skipped,
        jobs_retried=retried,
        jobs_skipped=skipped,
        jobs=jobs,
        message=message,
        monitor_url=alone and alone.monitor_url,
        job_status_url=alone and alone.job_status_url,
    )
