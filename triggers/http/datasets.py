"""`/api/datasets/{dataset_id}/refs`: the catalogue entries of a partner's dataset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from core.models.platform import DataType
from infrastructure.postgres.dataset_refs import DatasetQuery, KnownRef
from triggers.http.access import BaseUrl, TheRuntime
from triggers.http.health import Member
from triggers.http.paging import PLAIN, Word

router = APIRouter(prefix="/api/datasets", tags=["datasets"])


class Ref(BaseModel):
    """An item of the catalogue that shows a version of the dataset; behind it is a COG or a table."""

    dataset_id: str
    resource_id: str | None
    version_id: str | None
    data_type: DataType
    collection_id: str
    item_id: str
    cog_id: str | None
    table_name: str | None
    job_id: str | None
    published: bool
    updated_at: datetime | None
    item_url: str


class RefList(BaseModel):
    """Ordered by resource, version and item."""

    dataset_id: str
    count: int
    limit: int
    offset: int
    refs: list[Ref]


@router.get("/{dataset_id:path}/refs")
def refs(
    dataset_id: Annotated[str, Path(max_length=255, pattern=PLAIN)],
    runtime: TheRuntime,
    caller: Member,
    base: BaseUrl,
    data_type: DataType | None = None,
    resource_id: Word | None = None,
    version_id: Word | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> RefList:
    """What belongs to a dataset: with `data_type=raster` all its rasters. A partner sees what is his."""
    wanted = DatasetQuery(
        dataset_id,
        resource_id,
        version_id,
        data_type.value if data_type else None,
        None if caller.sees_everything else caller.client_id,
        limit,
        offset,
    )
    found = [_ref(known, base) for known in runtime.dataset_refs.of(wanted)]
    return RefList(dataset_id=dataset_id, count=len(found), limit=limit, offset=offset, refs=found)


def _ref(known: KnownRef, base: str) -> Ref:
    ref = known.ref
    return Ref(
        dataset_id=ref.dataset_id,
        resource_id=ref.resource_id,
        version_id=ref.version_id,
        data_type=ref.data_type,
        collection_id=ref.stac_collection_id,
        item_id=ref.stac_item_id,
        cog_id=ref.cog_id,
        table_name=ref.table_name,
        job_id=ref.etl_job_id,
        published=known.published,
        updated_at=ref.updated_at,
        item_url=f"{base}/api/stac/collections/{ref.stac_collection_id}/items/{ref.stac_item_id}",
    )
