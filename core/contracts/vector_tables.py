"""What a request may ask of the table that a vector file becomes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from core.contracts.tasks import Contract
from core.models.catalog import WriteMode

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=4000)]


class TableOptions(Contract):
    """How rows reach the table, and what is built on it. Columns are named as in the file or as in the table.

    `overwrite` is another word for `write_mode: overwrite`.
    """

    write_mode: WriteMode = WriteMode.CREATE
    upsert_key: tuple[ColumnName, ...] = Field((), max_length=8)  #: by default the primary key that was asked for once
    primary_key: ColumnName | None = None  #: by default `id`, numbered from 1
    create_tile_view: bool = False  #: tiles are made from a materialised view of the features in small pieces
    max_tile_vertices: int = Field(256, ge=8, le=100_000)
    style_attribute: ColumnName | None = None  #: what the default style shows; chosen when not given

    @model_validator(mode="before")
    @classmethod
    def _lift_overwrite(cls, value: object) -> object:
        # One spelling inside, so that the same work has the same job_id whichever way it was asked for.
        if not isinstance(value, dict) or "overwrite" not in value:
            return value
        rest = {k: v for k, v in value.items() if k != "overwrite"}
        if not isinstance(value["overwrite"], bool):
            raise ValueError("overwrite must be true or false")
        if value["overwrite"]:
            if rest.get("write_mode", WriteMode.OVERWRITE) != WriteMode.OVERWRITE:
                raise ValueError("overwrite contradicts write_mode")
            rest["write_mode"] = WriteMode.OVERWRITE
        return rest

    @model_validator(mode="after")
    def _key_has_a_use(self) -> TableOptions:
        if self.upsert_key and self.write_mode is not WriteMode.UPSERT:
            raise ValueError("upsert_key is for write_mode upsert")
        if self.joins and (self.primary_key or self.create_tile_view or self.style_attribute):
            raise ValueError(f"write_mode {self.write_mode} adds rows to a table as it is; leave its options out")
        return self

    @property
    def joins(self) -> bool:
        """Whether rows are added to a table that is there."""
        return self.write_mode in (WriteMode.APPEND, WriteMode.UPSERT)
