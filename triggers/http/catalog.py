"""`/api/platform/catalog` and `/api/platform/lineage`: where is my dataset, and where did it come from?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, assert_never, cast
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, JsonValue

from composition import Runtime
from core.contracts.principals import Principal
from core.errors import NotFound
from core.machine.identity import request_id as id_of_request
from core.models.platform import DataType
from core.states import JobStatus
from infrastructure.postgres.datasets import DatasetItem, Wanted
from services.platform.access import data_access, item_links
from triggers.http import views
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.paging import Limit, TextCursor, Word, text_cursor, text_position
from triggers.http.scope import Member, Partner, may_see, visible_request

router = APIRouter(prefix="/api/platform", tags=["platform"])
_ITEMS = "dataset_items"
Id = Annotated[str, Query(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


class ItemReference(BaseModel):
    """An item of a dataset and where its parts are."""

    collection_id: str
    item_id: str
    resource_id: str | None
    version_id: str | None
    data_type: DataType
    cog_id: str | None
    table_name: str | None
    published: bool
    access_level: str | None
    bbox: list[float]
    start_datetime: datetime
    end_datetime: datetime
    item_url: str
    assets_url: str
    stac_url: str


class Lookup(BaseModel):
    """Whether a dataset version is in the catalogue. `stac` is its first item, `items` are all of them."""

    success: bool = True
    found: bool
    reason: Literal["unknown", "in_progress", "failed", "removed"] | None = None
    message: str | None = None
    status_url: str | None = None
    stac: dict[str, str] | None = None
    processing: dict[str, JsonValue] | None = None
    metadata: dict[str, JsonValue] | None = None
    items: list[ItemReference] = []
    ddh_refs: dict[str, str]
    timestamp: datetime


@router.get("/catalog/lookup")
def lookup(
    runtime: TheRuntime, base: BaseUrl, caller: Member, dataset_id: Id, resource_id: Id, version_id: Id
) -> Lookup:
    """Find a dataset version in the catalogue by the ids it was submitted with."""
    refs = {"dataset_id": dataset_id, "resource_id": resource_id, "version_id": version_id}
    found = runtime.datasets.items(Wanted(dataset_id, resource_id, version_id), caller, 500)
    now = runtime.jobs.now()
    if not found:
        return Lookup(found=False, ddh_refs=refs, timestamp=now, **_why_not(runtime, caller, refs))
    items = [_reference(item, base) for item in found]
    first = items[0]
    made_by = found[0].etl_job_id
    return Lookup(
        found=True,
        stac={k: getattr(first, k) for k in ("collection_id", "item_id", "item_url", "assets_url")},
        processing={
            "request_id": id_of_request(dataset_id, resource_id, version_id),
            "job_id": made_by,
            "completed_at": found[0].updated_at.isoformat(),
        },
        metadata={"bbox": list(first.bbox), "datetime": first.start_datetime.isoformat()},
        items=items,
        ddh_refs=refs,
        timestamp=now,
    )


@router.get("/catalog/item/{collection_id}/{item_id}")
def item(collection_id: str, item_id: str, runtime: TheRuntime, caller: Member) -> dict[str, JsonValue]:
    """The whole STAC item."""
    return _item(runtime, collection_id, item_id, caller)


class Assets(BaseModel):
    """The files of an item, and the addresses that show it. `titiler` is null for a table, or when not asked for."""

    success: bool = True
    collection_id: str
    item_id: str
    assets: dict[str, JsonValue]
    titiler: dict[str, str] | None
    services: dict[str, dict[str, str]]
    timestamp: datetime


@router.get("/catalog/assets/{collection_id}/{item_id}")
def assets(
    collection_id: str,
    item_id: str,
    runtime: TheRuntime,
    base: BaseUrl,
    caller: Member,
    include_titiler: bool = True,
) -> Assets:
    """The files of an item, and where it can be looked at."""
    document = _item(runtime, collection_id, item_id, caller)
    links = item_links(document, base)
    titiler = links.pop("titiler", None)
    return Assets(
        collection_id=collection_id,
        item_id=item_id,
        assets=cast("dict[str, JsonValue]", document.get("assets", {})),
        titiler=titiler if include_titiler else None,
        services=links,
        timestamp=runtime.jobs.now(),
    )


class DatasetPage(BaseModel):
    """Some items of a dataset, by resource, version and item. `next_cursor` is null at the end."""

    success: bool = True
    dataset_id: str
    count: int
    items: list[ItemReference]
    next_cursor: str | None


@router.get("/catalog/dataset/{dataset_id:path}")
def dataset(
    dataset_id: str,
    runtime: TheRuntime,
    base: BaseUrl,
    caller: Member,
    limit: Limit = 100,
    after: TextCursor = None,
    data_type: DataType | None = None,
    resource_id: Word | None = None,
    version_id: Word | None = None,
    published: bool | None = None,
) -> DatasetPage:
    """Everything that shows a dataset: all its rasters, or tables, or one version's."""
    place = text_position(_ITEMS, after, 4) or ("", "", "", "")
    wanted = Wanted(
        _plain(dataset_id),
        resource_id=resource_id,
        version_id=version_id,
        data_type=data_type and data_type.value,
        published=published,
        after=cast("tuple[str, str, str, str]", place),
    )
    found = runtime.datasets.items(wanted, caller, limit)
    return DatasetPage(
        dataset_id=dataset_id,
        count=len(found),
        items=[_reference(one, base) for one in found],
        next_cursor=text_cursor(_ITEMS, *found[-1].place) if len(found) == limit else None,
    )


class Lineage(BaseModel):
    """From the partner's file to what the catalogue shows: every run of the job, its outputs, every review."""

    success: bool = True
    request_id: str
    job_id: str
    job_type: str
    data_type: DataType
    status: str
    source: dict[str, JsonValue]
    processing: dict[str, JsonValue]
    outputs: list[dict[str, JsonValue]]
    approvals: list[dict[str, JsonValue]]
    data_access: dict[str, JsonValue]
    created_at: datetime | None
    completed_at: datetime | None


@router.get("/lineage/{id}")
def lineage(id: str, runtime: TheRuntime, base: BaseUrl, caller: Partner) -> Lineage:  # noqa: A002
    """Where a request's outputs come from; the id is a request_id or a job_id."""
    known = visible_request(runtime, id, caller)
    request = known.request
    job = runtime.jobs.job(request.job_id)
    origin = runtime.datasets.origin(job.job_id)
    return Lineage(
        request_id=request.request_id,
        job_id=job.job_id,
        job_type=job.job_type,
        data_type=request.data_type,
        status=job.status.value,
        source={
            "container": request.source_container,
            "blob_name": request.source_path,
            "etag": request.source_etag,
            "size_bytes": request.source_size,
            "submitted_by": request.submitted_by,
            "client_id": request.client_id,
        },
        processing={
            "routing": request.routing,
            "parameters": job.parameters,
            "runs": cast("JsonValue", jsonable_encoder(origin.runs)),
            "error": cast("JsonValue", views.error(job)),
        },
        outputs=cast("list[dict[str, JsonValue]]", jsonable_encoder(origin.outputs)),
        approvals=cast("list[dict[str, JsonValue]]", jsonable_encoder(origin.reviews)),
        data_access=cast("dict[str, JsonValue]", data_access(job.result, base)),
        created_at=request.created_at,
        completed_at=job.finished_at,
    )


def _item(runtime: Runtime, collection_id: str, item_id: str, caller: Principal) -> dict[str, JsonValue]:
    found = runtime.datasets.item(_plain(collection_id), _plain(item_id), caller)
    if found is None:
        raise NotFound(f"There is no item {item_id!r} in collection {collection_id!r}, or it is not yours to see.")
    return found


def _why_not(runtime: Runtime, caller: Principal, refs: Mapping[str, str]) -> dict[str, str]:
    """Why the catalogue shows nothing, as far as it is the caller's to know."""
    known = runtime.requests.find(id_of_request(refs["dataset_id"], refs["resource_id"], refs["version_id"]))
    if known is None or not may_see(known, caller):
        return {"reason": "unknown", "message": "Nothing was submitted with these ids, or not by you."}
    status = {"status_url": f"/api/platform/status/{known.request.request_id}"}
    match known.job_status:
        case JobStatus.QUEUED | JobStatus.PROCESSING:
            return {"reason": "in_progress", "message": f"Its job is {known.job_status.value}.", **status}
        case JobStatus.FAILED | JobStatus.CANCELLED:
            return {"reason": "failed", "message": f"Its job is {known.job_status.value}.", **status}
        case JobStatus.COMPLETED | JobStatus.COMPLETED_WITH_ERRORS:
            return {"reason": "removed", "message": "It was processed, but its items are gone.", **status}
        case _:
            assert_never(known.job_status)


def _reference(found: DatasetItem, base: str) -> ItemReference:
    collection, item_id = found.stac_collection_id, found.stac_item_id
    return ItemReference(
        collection_id=collection,
        item_id=item_id,
        resource_id=found.resource_id,
        version_id=found.version_id,
        data_type=DataType(found.data_type),
        cog_id=found.cog_id,
        table_name=found.table_name,
        published=bool(found.published),
        access_level=found.access_level,
        bbox=found.bbox,
        start_datetime=found.start_datetime,
        end_datetime=found.end_datetime,
        item_url=f"{base}/api/platform/catalog/item/{quote(collection)}/{quote(item_id)}",
        assets_url=f"{base}/api/platform/catalog/assets/{quote(collection)}/{quote(item_id)}",
        stac_url=f"{base}/api/stac/collections/{quote(collection)}/items/{quote(item_id)}",
    )


def _plain(text: str) -> str:
    """A name out of a path. Raises NotFound for what PostgreSQL cannot hold."""
    if "\0" in text:
        raise NotFound("There is nothing of that name.")
    return text
