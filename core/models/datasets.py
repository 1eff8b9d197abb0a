"""Which catalogue entries belong to a dataset?"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from core.models.platform import DataType
from core.models.record import JobId, Record, Stamped
from core.schema.table import Check, ForeignKey, Index, Table


class DatasetRef(Record):
    """An item of the catalogue, the COG or table behind it, and the dataset version of the partner that it shows."""

    __table__: ClassVar[Table] = Table(
        name="dataset_refs",
        primary_key=("stac_collection_id", "stac_item_id"),
        indexes=(
            Index(("dataset_id", "resource_id", "version_id")),
            Index(("cog_id",)),
            Index(("table_name",)),
            Index(("etl_job_id",)),
        ),
        checks=(Check("names_one_object", "num_nonnulls(cog_id, table_name) = 1"),),
        foreign_keys=(
            ForeignKey(("cog_id",), "app.cog_metadata", ("cog_id",), on_delete="CASCADE"),
            ForeignKey(("table_name",), "geo.table_catalog", ("table_name",), on_delete="CASCADE"),
        ),
    )

    stac_collection_id: str
    stac_item_id: str
    dataset_id: Annotated[str, Field(max_length=255)]
    resource_id: Annotated[str | None, Field(max_length=255)] = None
    version_id: Annotated[str | None, Field(max_length=50)] = None
    client_id: Annotated[str | None, Field(max_length=255)] = None
    data_type: DataType
    cog_id: Annotated[str | None, Field(max_length=255)] = None
    table_name: Annotated[str | None, Field(max_length=63)] = None
    etl_job_id: JobId | None = None
    created_at: Stamped = None
    updated_at: Stamped = None
