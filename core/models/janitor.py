"""What the janitor mended."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import Json, NonNegative, Record
from core.schema.table import Column, Index, Table


class JanitorRunType(StrEnum):
    """What a run looked for."""

    LEASES = "leases"  #: leases that ran out
    STRANDED = "stranded"  #: open jobs and stages that nothing would move
    ORPHANS = "orphans"  #: open work of jobs that have ended


class JanitorRun(Record):
    """A run that mended something; one that found nothing leaves no row. The events of the jobs say what was done."""

    __table__: ClassVar[Table] = Table(
        name="janitor_runs",
        primary_key=("run_id",),
        indexes=(Index(("started_at",)),),
    )

    run_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    run_type: JanitorRunType
    started_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    duration_ms: NonNegative = 0
    items_fixed: NonNegative
    actions: Json = Field(default_factory=dict)
    worker: str | None = None
