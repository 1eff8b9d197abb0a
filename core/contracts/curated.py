"""What the stages of an update of a curated dataset say to each other, and what they see of the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import AwareDatetime, Field, model_validator

from core.contracts.jobs import JobResult
from core.contracts.outbound import Answer
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.contracts.vector import ProcessVectorParameters, VectorProcessed
from core.models.curated import CuratedDataset, CuratedId, CuratedUpdateType
from core.models.platform import AccessLevel

#: Topic of the outbox that failed updates are promised to.
ALERTS = "curated-update-alerts"
#: Tables whose names begin like this are the system's own: partners neither write nor remove them.
PREFIX = "curated_"
JOB_TYPE = "curated_dataset_update"


class CuratedUpdateParameters(Contract):
    """Parameters of `curated_dataset_update`. `occurrence` is the time of its schedule, so that each night is new work.

    `force_update` loads the source although it is the same as before; `dry_run` only looks at it.
    """

    dataset_id: CuratedId
    update_type: CuratedUpdateType = CuratedUpdateType.MANUAL
    force_update: bool = False
    dry_run: bool = False
    occurrence: AwareDatetime | None = None

    @model_validator(mode="after")
    def _scheduled_has_time(self) -> CuratedUpdateParameters:
        if (self.update_type is CuratedUpdateType.SCHEDULED) != (self.occurrence is not None):
            raise ValueError("occurrence is given with update_type scheduled, and only then")
        return self


class Verdict(StrEnum):
    """What is to be done, as far as a stage can tell."""

    UPDATE = "update"  #: there is something new
    NO_UPDATE_NEEDED = "no_update_needed"  #: there is not
    SKIPPED = "skipped"  #: something else has to end first


class CheckedSource(Contract):
    """The dataset as it was defined when its source was looked at. `rows_before` are those of its table."""

    verdict: Verdict
    reason: str
    dataset: CuratedDataset
    rows_before: int | None


class FetchCurated(Contract):
    """Bring the source here."""

    parameters: CuratedUpdateParameters
    checked: CheckedSource


class FetchedSource(Contract):
    """The file as it was read. `load` says how it gets into the table; None where it is the one that is there."""

    verdict: Verdict
    reason: str
    source_version: str
    content_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    load: ProcessVectorParameters | None


class FinalizeCurated(Contract):
    """Write down what was loaded."""

    checked: CheckedSource
    fetched: FetchedSource
    processed: VectorProcessed


class CuratedRecords(Contract):
    """What an update changed in the table; of the revision that waits where it waits for a review."""

    added: int
    updated: int
    deleted: int
    total: int


class CuratedUpdateResult(JobResult):
    """Result of `curated_dataset_update`. `stages` says of each stage what it did."""

    dataset_id: str
    table_name: str
    outcome: str
    message: str
    dry_run: bool
    source_version: str | None = None
    records: CuratedRecords | None = None
    access_level: AccessLevel
    stages: Mapping[str, str]


CURATED_CHECK = TaskType("curated_check_source", CuratedUpdateParameters, CheckedSource, Queue.VECTOR, Weight.HEAVY)
CURATED_FETCH = TaskType("curated_fetch_data", FetchCurated, FetchedSource, Queue.VECTOR, Weight.HEAVY)
CURATED_ETL = TaskType("curated_etl_process", ProcessVectorParameters, VectorProcessed, Queue.VECTOR, Weight.HEAVY)
CURATED_FINALIZE = TaskType("curated_finalize", FinalizeCurated, CuratedRecords, Queue.VECTOR, Weight.HEAVY)


class CuratedSources(Protocol):
    """The registry and its sources as the stages see them."""

    def dataset(self, dataset_id: str) -> CuratedDataset:
        """One dataset. Raises NotFound."""
        ...

    def updating(self, dataset_id: str) -> str | None:
        """The job of the earliest update that has not ended."""
        ...

    def under_review(self, table: str) -> bool:
        """True while a revision of the table waits for a decision."""
        ...

    def look(self, url: str, headers: Mapping[str, str]) -> Answer:
        """How an address answers, without its content. Raises what Outbound does."""
        ...

    def save(self, url: str, target: Path) -> Answer:
        """Its content as a file. Raises what Outbound does."""
        ...


Period = Callable[[str, datetime], datetime]  #: schedule and moment to the latest time of the schedule
