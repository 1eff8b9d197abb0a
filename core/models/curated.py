"""Reference datasets that the system keeps up to date itself, and how each update of them went."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.platform import AccessLevel
from core.models.record import Created, JobId, Json, Record, RowCount, Stamped
from core.schema.table import Check, Column, ForeignKey, Index, Table, is_one_of

CuratedId = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,54}$")]


class CuratedSourceType(StrEnum):
    """Where a curated dataset comes from."""

    URL = "url"  #: a file behind an http or https address
    BLOB = "blob"  #: a file in a bronze container


class CuratedUpdateStrategy(StrEnum):
    """What an update does to the table."""

    FULL_REPLACE = "full_replace"  #: the file is the whole dataset
    UPSERT = "upsert"  #: its rows replace those of the same key and join the others


class CuratedUpdateType(StrEnum):
    """Who asked for an update."""

    SCHEDULED = "scheduled"  #: the clock
    MANUAL = "manual"  #: a person
    TRIGGERED = "triggered"  #: another system


class CuratedUpdateStatus(StrEnum):
    """How far an update is, or how it ended."""

    STARTED = "started"  #: its job was accepted
    DOWNLOADING = "downloading"  #: the source has something new
    PROCESSING = "processing"  #: the file is here and is being loaded
    COMPLETED = "completed"  #: it was loaded; what was published before waits for a review
    NO_UPDATE_NEEDED = "no_update_needed"  #: the source has nothing new
    SKIPPED = "skipped"  #: something else has to end first
    FAILED = "failed"  #: the table is as it was
    CANCELLED = "cancelled"  #: stopped on request


class SystemRole(StrEnum):
    """What the system itself uses a table for."""

    ADMIN0_BOUNDARIES = "admin0_boundaries"  #: says in which countries data lies
    H3_LAND_GRID = "h3_land_grid"  #: says which H3 cells are land


_OPEN = (CuratedUpdateStatus.STARTED, CuratedUpdateStatus.DOWNLOADING, CuratedUpdateStatus.PROCESSING)


class CuratedDataset(Record):
    """A dataset, its source, and its table in schema `geo`. `source_url` of a blob is `container/path`.

    `source_config` are parameters of process_vector. `source_version` and `content_sha256` are of what was loaded last,
    null where the definition changed since. `scheduled_for` is the latest time of its schedule that was acted on.
    """

    __table__: ClassVar[Table] = Table(
        name="curated_datasets",
        primary_key=("dataset_id",),
        uniques=(("target_table_name",), ("system_role",)),
        checks=(
            Check("source_is_of_its_type", "(source_type = 'url') = (source_url ~ '^https?://')"),
            Check("upsert_has_a_key", "(update_strategy = 'upsert') = (jsonb_array_length(update_key) > 0)"),
            Check("version_has_content", "(source_version IS NULL) = (content_sha256 IS NULL)"),
        ),
    )

    dataset_id: CuratedId
    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: str | None = None
    source_type: CuratedSourceType
    source_url: Annotated[str, Field(min_length=3, max_length=2000)]
    source_config: Json = Field(default_factory=dict)
    update_strategy: CuratedUpdateStrategy = CuratedUpdateStrategy.FULL_REPLACE
    update_key: list[str] = Field(default_factory=list)
    update_schedule: Annotated[str | None, Field(max_length=100)] = None
    target_table_name: Annotated[str, Field(max_length=63, pattern="^curated_[a-z0-9_]+$")]
    access_level: AccessLevel = AccessLevel.PUBLIC
    system_role: SystemRole | None = None
    enabled: bool = True
    last_checked_at: AwareDatetime | None = None
    last_updated_at: AwareDatetime | None = None
    last_job_id: JobId | None = None
    scheduled_for: AwareDatetime | None = None
    source_version: str | None = None
    content_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None
    created_by: Annotated[str, Field(max_length=255)]
    created_at: Stamped = None
    updated_at: Stamped = None


class CuratedUpdate(Record):
    """One update. It has no job where none could be submitted. `message` says what failed, or why nothing was done."""

    __table__: ClassVar[Table] = Table(
        name="curated_update_log",
        primary_key=("log_id",),
        indexes=(
            Index(("dataset_id", "log_id")),
            Index(("job_id",), where="completed_at IS NULL", name="ix_curated_update_log_open"),
        ),
        checks=(
            Check("ended_has_time", f"({is_one_of('status', _OPEN)}) = (completed_at IS NULL)"),
            Check("failed_says_why", "status <> 'failed' OR message IS NOT NULL"),
        ),
        foreign_keys=(ForeignKey(("dataset_id",), "app.curated_datasets", ("dataset_id",), on_delete="CASCADE"),),
    )

    log_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    dataset_id: CuratedId
    job_id: JobId | None = None
    update_type: CuratedUpdateType
    scheduled_for: AwareDatetime | None = None
    source_version: str | None = None
    records_added: RowCount | None = None
    records_updated: RowCount | None = None
    records_deleted: RowCount | None = None
    records_total: RowCount | None = None
    status: CuratedUpdateStatus = CuratedUpdateStatus.STARTED
    message: str | None = None
    started_at: Created
    completed_at: AwareDatetime | None = None
