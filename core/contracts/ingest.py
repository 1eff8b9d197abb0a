"""Ready-made COGs with their STAC documents: what is copied and registered, and the outcome of each item."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue, field_validator, model_validator

from core.contracts.jobs import JobResult
from core.contracts.raster import COG_CONTAINER, ExtractStacInput, RasterDataset
from core.contracts.raster_collection import CatalogedCollection, CollectionReference, MosaicSummary
from core.contracts.storage import BlobName
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.errors import InvalidRequest

Json = dict[str, JsonValue]
#: Items that one job takes.
MAX_ITEMS = 10_000


class IngestCollectionParameters(RasterDataset):
    """Parameters of `ingest_collection`. `collection_id` None keeps the document's own id.

    `items_path` is a FeatureCollection, a list, or one item per line; None: the collection's `item` links, else the
    `items.json` beside it, else every other `.json` under its folder. `title`, `description` and `tags` take the place
    of the collection's own; items keep theirs, and their ids.
    """

    collection_id: str | None = Field(None, min_length=1, max_length=600, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # type: ignore[assignment]  # the document names it
    source_container: str
    target_container: str = COG_CONTAINER
    collection_json_path: str = Field("collection.json", min_length=1, max_length=900)
    items_path: str | None = Field(None, min_length=1, max_length=900)
    batch_size: int = Field(100, ge=1, le=500)
    overwrite: bool = False
    skip_existing: bool = True
    create_mosaicjson: bool = False

    @field_validator("target_container")
    @classmethod
    def _an_output(cls, value: str) -> str:
        if not value.startswith(("silver", "gold")):
            raise ValueError(f"target_container {value!r} is no container of the silver or gold zone.")
        return value

    @field_validator("item_id")
    @classmethod
    def _keep_theirs(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError("items keep the ids of their documents; leave item_id out")
        return value

    @model_validator(mode="after")
    def _nameable(self) -> IngestCollectionParameters:
        try:
            BlobName(self.source_container, self.collection_json_path)
            BlobName(self.target_container, "x")
            BlobName(self.source_container, self.items_path or "x")
        except InvalidRequest as e:
            raise ValueError(str(e)) from e
        return self


class IngestStatus(StrEnum):
    """How an item ended."""

    COMPLETED = "completed"  #: copied and registered
    SKIPPED = "skipped"  #: the catalogue has it already
    FAILED = "failed"  #: it is not registered


class IngestOutcome(Contract):
    """What became of one item."""

    item_id: str
    status: IngestStatus
    source_blob: str | None = None
    cog_blob: str | None = None
    size_mb: float | None = None
    error_code: str | None = None
    error_message: str | None = None


class ItemToCopy(Contract):
    """A valid item, and the file of its COG inside the source container."""

    item_id: str
    blob: str
    document: Json


class IngestInventory(Contract):
    """The collection as it will be registered, the items to copy in batches, and what is not copied."""

    collection_id: str
    collection: Json
    batches: tuple[tuple[ItemToCopy, ...], ...]
    aside: tuple[IngestOutcome, ...]


class IngestBatchInput(Contract):
    """Items to copy, and whose they are."""

    dataset: RasterDataset
    source_container: str
    target_container: str
    items: tuple[ItemToCopy, ...]


class CopiedItem(Contract):
    """An item whose COG was copied and inspected."""

    document: Json
    request: ExtractStacInput


class IngestBatch(Contract):
    """What became of a batch."""

    copied: tuple[CopiedItem, ...]
    outcomes: tuple[IngestOutcome, ...]


class IngestRegisterInput(Contract):
    """All copied items of the collection."""

    dataset: RasterDataset
    collection: Json
    create_mosaicjson: bool
    copied: tuple[CopiedItem, ...] = Field(min_length=1)


class IngestCollectionResult(JobResult):
    """Result of `ingest_collection`. `stac` is None when every item was there already."""

    source_container: str
    target_container: str
    collection_id: str
    items_total: int
    items_completed: int
    items_skipped: int
    items_failed: int
    items: tuple[IngestOutcome, ...]
    mosaicjson: MosaicSummary | None = None
    stac: CollectionReference | None = None
    stages_completed: int


INGEST_INVENTORY = TaskType(
    "ingest_inventory", IngestCollectionParameters, IngestInventory, queue=Queue.RASTER, weight=Weight.HEAVY
)
INGEST_COPY = TaskType("ingest_copy_batch", IngestBatchInput, IngestBatch, queue=Queue.RASTER, weight=Weight.HEAVY)
INGEST_REGISTER = TaskType(
    "ingest_register_collection", IngestRegisterInput, CatalogedCollection, queue=Queue.RASTER, weight=Weight.HEAVY
)
