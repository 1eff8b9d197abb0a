"""Cataloguing COGs that lie in a container already, where they lie."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from core.contracts.jobs import JobResult
from core.contracts.raster import CreateCogOutput, RasterDataset, RasterInspection, RasterSource, RasterType
from core.contracts.raster_collection import CollectionOptions, CollectionReference, FileOutcome, MosaicSummary
from core.contracts.storage import ContainerName
from core.contracts.tasks import Contract, Queue, TaskType, Weight

BlobPath = Annotated[str, Field(min_length=1, max_length=900)]


class CatalogBlobsParameters(RasterDataset, CollectionOptions):
    """What both ways of cataloguing COGs where they lie are told. Files that the catalogue knows are passed over."""

    container_name: ContainerName
    raster_type: RasterType = RasterType.AUTO


class CatalogContainerParameters(CatalogBlobsParameters):
    """Parameters of `stac_catalog_container`."""

    prefix: str = Field("", max_length=900)
    extension_filter: str = Field(".tif", min_length=1, max_length=20)
    file_limit: int = Field(1000, ge=1, le=10_000)


class SilverBlobsParameters(CatalogBlobsParameters):
    """Parameters of `register_silver_blobs`: `blobs` are paths in the container. `dry_run` only describes them."""

    blobs: tuple[BlobPath, ...] = Field(min_length=1, max_length=500)
    dry_run: bool = True

    @field_validator("container_name")
    @classmethod
    def _of_outputs(cls, value: str) -> str:
        if not value.startswith("silver"):
            raise ValueError(f"container_name {value!r} is no container of the silver zone.")
        return value


class ContainerListing(Contract):
    """The files to catalogue, how their items' ids end, and how many were passed over or left for another time."""

    blobs: tuple[str, ...]
    names: dict[str, str]
    known: int
    left: int


class CatalogBlobInput(RasterSource):
    """One COG to describe."""

    raster_type: RasterType = RasterType.AUTO


class CatalogedBlob(Contract):
    """A COG as the catalogue describes rasters: its own source, and its own COG."""

    inspection: RasterInspection
    made: CreateCogOutput


class CatalogContainerResult(JobResult):
    """Result of `stac_catalog_container`. `stac` is None when there was nothing to catalogue."""

    container: str
    collection_id: str
    cataloged: int
    failed: int
    known: int
    left: int
    files: tuple[FileOutcome, ...]
    mosaicjson: MosaicSummary | None = None
    stac: CollectionReference | None = None
    stages_completed: int


RASTER_LIST_FILES = TaskType(
    "raster_list_files", CatalogContainerParameters, ContainerListing, queue=Queue.RASTER, weight=Weight.HEAVY
)
SILVER_BLOB_VALIDATE = TaskType(
    "silver_blob_validate", SilverBlobsParameters, ContainerListing, queue=Queue.RASTER, weight=Weight.HEAVY
)
RASTER_DESCRIBE_BLOB = TaskType(
    "raster_describe_cog", CatalogBlobInput, CatalogedBlob, queue=Queue.RASTER, weight=Weight.HEAVY
)
