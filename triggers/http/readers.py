"""`/api/datasets/{dataset_id}/readers`: which partners see the restricted data of a dataset that is not theirs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from core.models.access import DatasetReader
from triggers.http.access import TheRuntime
from triggers.http.keys import Name
from triggers.http.paging import PLAIN
from triggers.http.scope import Reviewer

router = APIRouter(prefix="/api/datasets", tags=["readers"])
DatasetId = Annotated[str, Path(min_length=1, max_length=255, pattern=PLAIN)]


class ReadersBody(BaseModel):
    """The whole list: who is not on it, sees the data no longer."""

    model_config = ConfigDict(extra="forbid")

    clients: Annotated[list[Name], Field(max_length=500)]


class Readers(BaseModel):
    """Who sees the dataset's published restricted data, besides its own client, reviewers and admins."""

    dataset_id: str
    readers: list[DatasetReader]


@router.get("/{dataset_id:path}/readers")
def listing(dataset_id: DatasetId, runtime: TheRuntime, _: Reviewer) -> Readers:
    """The readers of a dataset; none where nobody was listed."""
    return Readers(dataset_id=dataset_id, readers=runtime.readers.of(dataset_id))


@router.put("/{dataset_id:path}/readers")
def put(dataset_id: DatasetId, body: ReadersBody, runtime: TheRuntime, caller: Reviewer) -> Readers:
    """Replace the list, at once for everybody. A dataset may be listed before it is submitted."""
    return Readers(dataset_id=dataset_id, readers=runtime.readers.put(dataset_id, body.clients, caller))
