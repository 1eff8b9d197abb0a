"""`/api/curated/datasets`: reference datasets that the system keeps up to date from their sources."""

from __future__ import annotations

import contextlib
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue, computed_field

from composition import Runtime
from core.contracts import curated
from core.contracts.principals import Principal
from core.errors import RemoteUnavailable
from core.models.curated import (
    CuratedDataset,
    CuratedId,
    CuratedSourceType,
    CuratedUpdate,
    CuratedUpdateStrategy,
    SystemRole,
)
from core.models.platform import AccessLevel
from core.states import JobStatus
from services.curated import definitions
from triggers.clock import occurrence
from triggers.http.access import TheRuntime
from triggers.http.paging import Cursor, Limit, Prose, TextCursor, cursor, position, text_cursor, text_position
from triggers.http.scope import Admin, Member

router = APIRouter(prefix="/api/curated/datasets", tags=["curated datasets"])
DatasetId = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,54}$", description="What it was registered as.")]
Key = Annotated[list[Annotated[str, Field(min_length=1, max_length=4000)]], Field(max_length=8)]
Url = Annotated[str, Field(min_length=3, max_length=2000, pattern=r"^[^\x00]*$")]
Schedule = Annotated[str, Field(max_length=100, description="NCRONTAB: six fields, seconds first, UTC.")]
_LIST, _HISTORY = "curated", "curated-updates"


class ChangeCurated(BaseModel):
    """What changes; what is left out stays. Null removes a description, a schedule or a role."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Prose, Field(max_length=255)] | None = None
    description: Prose | None = None
    source_type: CuratedSourceType | None = None
    source_url: Url | None = None
    source_config: dict[str, JsonValue] | None = None
    update_strategy: CuratedUpdateStrategy | None = None
    update_key: Key | None = None
    update_schedule: Schedule | None = None
    access_level: AccessLevel | None = None
    system_role: SystemRole | None = None
    enabled: bool | None = None

    def applied(self, before: CuratedDataset) -> CuratedDataset:
        """The dataset as it is defined then."""
        given = self.model_dump(exclude_unset=True)
        removable = ("description", "update_schedule", "system_role")
        return before.model_copy(update={k: v for k, v in given.items() if v is not None or k in removable})


class RegisterCurated(ChangeCurated):
    """A dataset, its source and its schedule. `source_config` are parameters of process_vector that the file needs."""

    dataset_id: CuratedId
    name: Annotated[Prose, Field(max_length=255)]
    source_type: CuratedSourceType
    source_url: Url
    target_table_name: Annotated[str, Field(max_length=63, pattern="^curated_[a-z0-9_]+$")] | None = Field(
        None, description="By default curated_ and the dataset_id."
    )

    def dataset(self, by: Principal) -> CuratedDataset:
        """The dataset as it is registered."""
        said = {name: value for name, value in self.model_dump().items() if value is not None}
        table = self.target_table_name or f"{curated.PREFIX}{self.dataset_id}"
        return CuratedDataset(**{**said, "target_table_name": table, "created_by": by.client_id})


class UpdateCurated(BaseModel):
    """Update now: with `force_update` although the source is as before, with `dry_run` only look at it."""

    model_config = ConfigDict(extra="forbid")

    force_update: bool = False
    dry_run: bool = False


class CuratedAnswer(BaseModel):
    """A dataset."""

    success: bool = True
    dataset: CuratedDataset


class CuratedPage(BaseModel):
    """Some datasets by id. `next_cursor` is null at the end."""

    count: int
    datasets: list[CuratedDataset]
    next_cursor: str | None


class LoggedUpdate(CuratedUpdate):
    """One update and how long it took."""

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def duration_seconds(self) -> float | None:
        """Null until it has ended."""
        return (self.completed_at - self.started_at).total_seconds() if self.completed_at else None


class CuratedHistory(BaseModel):
    """Updates of a dataset, newest first."""

    dataset_id: str
    count: int
    updates: list[LoggedUpdate]
    next_cursor: str | None


class CuratedJob(BaseModel):
    """The job that updates a dataset; not `created` where the same one runs already."""

    success: bool = True
    dataset_id: str
    job_id: str
    job_type: str
    status: JobStatus
    created: bool
    monitor_url: str


@router.get("")
def listing(
    runtime: TheRuntime, _: Member, limit: Limit = 50, after: TextCursor = None, enabled: bool | None = None
) -> CuratedPage:
    """Datasets by id, a page at a time."""
    (last,) = text_position(_LIST, after, 1) or (None,)
    found = runtime.curated.datasets(enabled, last, limit)
    following = text_cursor(_LIST, found[-1].dataset_id) if len(found) == limit else None
    return CuratedPage(count=len(found), datasets=found, next_cursor=following)


@router.post("", status_code=201)
def register(body: RegisterCurated, runtime: TheRuntime, caller: Admin) -> CuratedAnswer:
    """Keep a dataset up to date from now on; its first load is at its schedule, or when it is asked for."""
    _require_callable(body.source_url, runtime)
    return CuratedAnswer(dataset=runtime.curated.register(_checked(body.dataset(caller)), caller))


@router.get("/{dataset_id}")
def dataset(dataset_id: DatasetId, runtime: TheRuntime, _: Member) -> CuratedAnswer:
    """One dataset."""
    return CuratedAnswer(dataset=runtime.curated.dataset(dataset_id))


@router.patch("/{dataset_id}")
@router.put("/{dataset_id}")
def change(dataset_id: DatasetId, body: ChangeCurated, runtime: TheRuntime, caller: Admin) -> CuratedAnswer:
    """Change its definition. What its table is made from is loaded again at the next update."""
    _require_callable(body.source_url, runtime)

    def changed(before: CuratedDataset) -> CuratedDataset:
        after = _checked(body.applied(before))
        definitions.require_kept(before, after)
        return after

    made = runtime.curated.change(dataset_id, changed, caller)
    return CuratedAnswer(dataset=made)


@router.delete("/{dataset_id}")
def delete(dataset_id: DatasetId, runtime: TheRuntime, caller: Admin) -> CuratedAnswer:
    """Forget it with its history. Its table stays, and is unpublished like any other."""
    return CuratedAnswer(dataset=runtime.curated.delete(dataset_id, caller))


@router.post("/{dataset_id}/update", status_code=202)
def update(dataset_id: DatasetId, body: UpdateCurated, runtime: TheRuntime, caller: Admin) -> CuratedJob:
    """Fetch it now, whatever its schedule, and though it is disabled."""
    found = runtime.curated.dataset(dataset_id)
    wanted = curated.CuratedUpdateParameters(
        dataset_id=found.dataset_id, force_update=body.force_update, dry_run=body.dry_run
    )
    job = runtime.machine.prepare(curated.JOB_TYPE, wanted, submitted_by=caller.client_id)
    accepted = runtime.operations.submit(job, caller)
    if accepted.created:
        runtime.machine.accepted(job)
    return CuratedJob(
        dataset_id=found.dataset_id,
        job_id=job.job_id,
        job_type=job.job_type,
        status=runtime.jobs.statuses([job.job_id])[job.job_id],
        created=accepted.created,
        monitor_url=f"/api/jobs/status/{job.job_id}",
    )


@router.get("/{dataset_id}/history")
def history(
    dataset_id: DatasetId, runtime: TheRuntime, _: Member, limit: Limit = 50, before: Cursor = None
) -> CuratedHistory:
    """How its updates went."""
    runtime.curated.dataset(dataset_id)
    (last,) = position(_HISTORY, before, 1) or (None,)
    found = [LoggedUpdate(**vars(u)) for u in runtime.curated.history(dataset_id, last, limit)]
    following = cursor(_HISTORY, found[-1].log_id) if len(found) == limit else None
    return CuratedHistory(dataset_id=dataset_id, count=len(found), updates=found, next_cursor=following)


@router.post("/{dataset_id}/enable")
def enable(dataset_id: DatasetId, runtime: TheRuntime, caller: Admin) -> CuratedAnswer:
    """Have the clock keep it up to date again."""
    return change(dataset_id, ChangeCurated(enabled=True), runtime, caller)


@router.post("/{dataset_id}/disable")
def disable(dataset_id: DatasetId, runtime: TheRuntime, caller: Admin) -> CuratedAnswer:
    """Have the clock leave it alone; what is loaded stays."""
    return change(dataset_id, ChangeCurated(enabled=False), runtime, caller)


def _require_callable(url: str | None, runtime: Runtime) -> None:
    if url is not None and url.startswith(("http://", "https://")):
        with contextlib.suppress(RemoteUnavailable):  # a source that is away now is asked again when it is due
            runtime.outbound.check(url)


def _checked(defined: CuratedDataset) -> CuratedDataset:
    """The definition, if it can be carried out. Raises what an update by it would run into."""
    definitions.require_loadable(defined)
    if defined.update_schedule is not None:
        occurrence(defined.update_schedule)
    return defined
