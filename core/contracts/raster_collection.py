"""Many rasters in one collection: parameters, the task that catalogues them together, and the outcome of each file."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from core.contracts.jobs import JobResult, StacReference
from core.contracts.raster import (
    Bounds,
    ExtractStacInput,
    Finding,
    ProcessRasterParameters,
    RasterDataset,
    RasterOptions,
    RasterStacReference,
)
from core.contracts.storage import BlobName
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.errors import InvalidRequest
from core.naming import distinct_slugs, slug

#: Files of one collection job; every one is a task of each stage.
MAX_FILES = 1000
License = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class CollectionOptions(Contract):
    """What is made of the items together. `maxzoom` is the MosaicJSON's; by default that of the finest file."""

    collection_description: str | None = Field(None, max_length=4000)
    collection_license: License | None = None
    create_mosaicjson: bool = False
    maxzoom: int | None = Field(None, ge=0, le=24)

    @property
    def together(self) -> CollectionOptions:
        """The part that says what is made of the items together."""
        return CollectionOptions(**{name: getattr(self, name) for name in CollectionOptions.model_fields})


class RasterCollectionParameters(RasterDataset, RasterOptions, CollectionOptions):
    """Parameters of `process_raster_collection_v2`. `item_id`, or the collection's id, begins the id of every item."""

    container_name: str
    blob_list: tuple[str, ...] = Field(min_length=1, max_length=MAX_FILES)

    @model_validator(mode="after")
    def _nameable(self) -> RasterCollectionParameters:
        twice = [blob for blob, count in Counter(self.blob_list).items() if count > 1]
        if twice:
            raise ValueError(f"blob_list names {twice[0]!r} twice.")
        try:
            for blob in self.blob_list:
                BlobName(self.container_name, blob)
        except InvalidRequest as e:
            raise ValueError(str(e)) from e
        return self

    def members(self) -> dict[str, ProcessRasterParameters]:
        """The parameters of each file, by its path. Items are named after their files, or after their whole paths."""
        names = {blob: slug(PurePosixPath(blob).stem) for blob in self.blob_list}
        if len(set(names.values())) < len(names):
            names = distinct_slugs({blob: blob for blob in self.blob_list})
        shared = {name: getattr(self, name) for name in (*RasterDataset.model_fields, *RasterOptions.model_fields)}
        prefix = self.item_id or slug(self.collection_id)
        return {
            blob: ProcessRasterParameters.model_validate(
                {
                    **shared,
                    "container_name": self.container_name,
                    "blob_name": blob,
                    "item_id": f"{prefix}-{name}",
                    "title": None,
                    "output_folder": self.output_folder or f"{slug(self.collection_id)}/{prefix}",
                }
            )
            for blob, name in names.items()
        }


class CatalogCollectionInput(Contract):
    """What `raster_create_stac_collection` needs: every raster as it would be catalogued alone."""

    dataset: RasterDataset
    options: CollectionOptions
    members: tuple[ExtractStacInput, ...] = Field(min_length=1)


class MosaicSummary(Contract):
    """A MosaicJSON in storage."""

    container: str
    blob_path: str
    url: str  #: the href of the collection's asset
    bounds: Bounds
    tile_count: int
    minzoom: int
    maxzoom: int


class CatalogedCollection(Contract):
    """What was catalogued. `search_id` is that of the collection's published items in pgSTAC."""

    collection_id: str
    items: tuple[RasterStacReference, ...]
    search_id: str
    mosaicjson: MosaicSummary | None = None


class FileStatus(StrEnum):
    """How a file of a collection ended."""

    COMPLETED = "completed"  #: it is an item of the collection
    FAILED = "failed"  #: it is not, the others are


class FileOutcome(Contract):
    """What became of one file."""

    blob_name: str
    status: FileStatus
    item_id: str | None = None
    cog_blob: str | None = None
    cog_container: str | None = None
    size_mb: float | None = None
    failed_stage: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    findings: tuple[Finding, ...] = ()


class CogCounts(Contract):
    """The files together."""

    total_count: int
    successful: int
    failed: int
    total_size_mb: float


class CollectionReference(StacReference):
    """The first of the collection's items, and what there is of them together."""

    search_id: str
    items_created: int
    items_failed: int


class RasterCollectionResult(JobResult):
    """Result of `process_raster_collection_v2`."""

    collection_id: str
    source_container: str
    cogs: CogCounts
    files: tuple[FileOutcome, ...]
    mosaicjson: MosaicSummary | None
    stac: CollectionReference
    stages_completed: int


RASTER_CREATE_STAC_COLLECTION = TaskType(
    "raster_create_stac_collection",
    CatalogCollectionInput,
    CatalogedCollection,
    queue=Queue.RASTER,
    weight=Weight.HEAVY,
)
