"""Taking published public data out of the organisation, by pipelines of Azure Data Factory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import JsonValue

from core.models.platform import AccessLevel
from core.states import ApprovalStatus


class RunStatus(StrEnum):
    """How a pipeline run is, in Data Factory's words."""

    QUEUED = "Queued"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELING = "Canceling"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """True when it will not change any more."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


@dataclass(frozen=True)
class PipelineRun:
    """A run of a pipeline."""

    run_id: str
    pipeline: str
    status: RunStatus
    message: str | None
    parameters: Mapping[str, JsonValue]
    started_at: str | None
    ended_at: str | None


@dataclass(frozen=True)
class Export:
    """What an approval lets out: hrefs of files and names of tables, and how far that is."""

    approval_id: str
    classification: AccessLevel
    status: ApprovalStatus
    reviewed_at: datetime
    run_id: str | None
    files: Sequence[str]
    tables: Sequence[str]
    parameters: Mapping[str, JsonValue]


@dataclass(frozen=True)
class Unfinished:
    """The run of an approval that is not known to have ended; `silent` when nothing was heard of it for a day."""

    approval_id: str
    run_id: str
    silent: bool


class DataFactory(Protocol):
    """The factory. Raises RemoteUnavailable when it does not answer, ConfigurationError when it refuses."""

    def create_run(self, pipeline: str, parameters: Mapping[str, JsonValue]) -> str:
        """Start a pipeline; the run's id."""
        ...

    def runs_since(self, pipeline: str, since: datetime) -> Sequence[PipelineRun]:
        """Runs of a pipeline that changed since a moment."""
        ...

    def run(self, run_id: str) -> PipelineRun:
        """How a run is. Raises NotFound."""
        ...


class ExportStore(Protocol):
    """Where exports are recorded."""

    def get(self, approval_id: str) -> Export:
        """What an approval lets out. Raises NotFound."""
        ...

    def started(self, approval_id: str, run_id: str) -> None:
        """Remember the run of an approval that has none yet."""
        ...

    def unfinished(self, limit: int) -> Sequence[Unfinished]:
        """Some runs that are not known to have ended; each comes up again and again."""
        ...

    def ended(self, approval_id: str, run_id: str, status: RunStatus, message: str | None) -> None:
        """Remember how a run ended, or how far it is."""
        ...
