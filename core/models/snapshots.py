"""How a process was configured, and since when."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import BigInt, Json, Record
from core.schema.table import Column, Index, Table


class SnapshotTrigger(StrEnum):
    """Why it was taken."""

    SCHEDULED = "scheduled"  #: by the timer
    MANUAL = "manual"  #: an admin asked for it


class SystemSnapshot(Record):
    """One configuration of the processes of a name. Until it changes, and the next row is written, `seen_at` moves.

    `changes` has, for each name that changed, `[before, after]`.
    """

    __table__: ClassVar[Table] = Table(
        name="system_snapshots",
        primary_key=("snapshot_id",),
        indexes=(Index(("process", "snapshot_id")),),
    )

    snapshot_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    process: Annotated[str, Field(min_length=1)]
    captured_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    seen_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    trigger_type: SnapshotTrigger
    config_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    snapshot: Json
    changes: Json = Field(default_factory=dict)
    previous_snapshot_id: BigInt | None = None
