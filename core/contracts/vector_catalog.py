"""What the jobs say that take feature tables out of the catalogue, and into it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from core.contracts.jobs import JobResult
from core.contracts.tables import HeldTable
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.contracts.unpublish import UnpublishParameters
from core.contracts.vector import Identity, TableName, Text
from core.models.platform import AccessLevel


class UnpublishVectorParameters(UnpublishParameters):
    """Parameters of `unpublish_vector`. Nothing is removed unless `dry_run` is false."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    table_name: TableName
    schema_name: Literal["geo"] = "geo"


class RemovedVector(Contract):
    """The table is gone when the task completes."""

    table_name: str


class UnpublishVectorResult(JobResult):
    """What was, or would be, removed."""

    dry_run: bool
    removed: bool
    table: HeldTable


class CatalogVectorsParameters(Contract):
    """Parameters of `stac_catalog_vectors`. Without names all tables of the schema that have no item."""

    schema_name: Literal["geo"] = "geo"
    table_names: Annotated[tuple[TableName, ...], AfterValidator(lambda names: tuple(sorted(set(names))))] = Field(
        (), max_length=1000
    )
    collection_id: Identity = "system-vectors"
    access_level: AccessLevel
    license: Text | None = None
    attribution: Text | None = None
    dry_run: bool = True


class TablesToCatalog(Contract):
    """The tables that have no item, and of those that were named, which cannot have one and why."""

    tables: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


class CatalogVector(Contract):
    """Describe one table."""

    parameters: CatalogVectorsParameters
    table_name: str


class CataloguedVector(Contract):
    """A table that has an item when the task completes."""

    table_name: str
    collection_id: str
    item_id: str
    row_count: int


class CatalogVectorsResult(JobResult):
    """Which tables were, or would be, catalogued."""

    dry_run: bool
    tables: tuple[str, ...]
    catalogued: tuple[CataloguedVector, ...]
    refused: tuple[tuple[str, str], ...]


UNPUBLISH_INVENTORY_VECTOR = TaskType(
    "unpublish_inventory_vector", UnpublishVectorParameters, HeldTable, Queue.VECTOR, Weight.HEAVY
)
UNPUBLISH_DROP_TABLE = TaskType(
    "unpublish_drop_table", UnpublishVectorParameters, RemovedVector, Queue.VECTOR, Weight.HEAVY
)
VECTOR_LIST_TABLES = TaskType(
    "vector_list_tables", CatalogVectorsParameters, TablesToCatalog, Queue.VECTOR, Weight.HEAVY
)
VECTOR_EXTRACT_STAC = TaskType(
    "vector_extract_stac_metadata", CatalogVector, CataloguedVector, Queue.VECTOR, Weight.HEAVY
)
