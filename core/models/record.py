"""What every table row has in common, and the column types that several tables share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from core.schema.table import Column, Table


class Record(BaseModel):
    """A row of the table that `__table__` declares: frozen, with one field per column and no others.

    Bounds and patterns of a field become check constraints, `max_length` a varchar length, a plain default the
    column's default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    __table__: ClassVar[Table]


Json = dict[str, JsonValue]
BigInt = Annotated[int, Column(sql_type="bigint")]
ByteCount = Annotated[int, Field(ge=0), Column(sql_type="bigint")]
RowCount = Annotated[int, Field(ge=0), Column(sql_type="bigint")]
NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
JobId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

Created = Annotated[AwareDatetime, Column(default="now()")]
#: Filled in by the database: None until the row was stored.
Stamped = Annotated[AwareDatetime | None, Column(default="now()", nullable=False)]
