"""What the API answers, as types. Fields that a newer API adds are kept as they come."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Any answer."""

    model_config = ConfigDict(extra="allow", frozen=True)


class JobStatus(StrEnum):
    """How a job is. The last four are ends."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True when nothing more will happen."""
        return self not in (JobStatus.QUEUED, JobStatus.PROCESSING)

    @property
    def succeeded(self) -> bool:
        """True when there is a result."""
        return self in (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS)


class Submission(BaseModel):
    """A dataset version and the file that holds it. `processing_options` are described in the API.

    `operation` UPDATE replaces what the same ids made before. Webhooks about it go to `callback_url`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset_id: str
    resource_id: str
    version_id: str
    container_name: str
    file_name: str | list[str]
    title: str | None = None
    access_level: str = "ouo"
    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    processing_options: dict[str, Any] = Field(default_factory=dict)
    client_id: str | None = None
    operation: Literal["CREATE", "UPDATE"] = "CREATE"
    callback_url: str | None = None


class Submitted(Answer):
    """What became of a submission."""

    request_id: str
    job_id: str
    job_type: str
    job_status: JobStatus
    message: str
    hint: str | None = None


class Plan(Answer):
    """What a submission would do. `plan_id` submits exactly this."""

    valid: bool
    plan_id: str | None = None
    job_type: str | None = None
    warnings: list[str] = Field(default_factory=list)


class JobError(Answer):
    """Why a job failed."""

    code: str
    message: str | None = None
    hint: str | None = None


class ApprovalReference(Answer):
    """The decision that a dataset waits for, or got."""

    approval_id: str
    status: str


class RequestStatus(Answer):
    """How a request is, and where its data can be seen."""

    request_id: str
    dataset_id: str
    resource_id: str
    version_id: str
    job_id: str
    job_type: str
    job_status: JobStatus
    access_level: str
    created_at: datetime
    progress: float | None = None
    job_error: JobError | None = None
    job_result: dict[str, Any] | None = None
    approval: ApprovalReference | None = None
    data_access: dict[str, Any] = Field(default_factory=dict)


class JobSummary(Answer):
    """One run of a job in a list."""

    job_id: str
    run: int
    job_type: str
    status: JobStatus
    stage: int
    total_stages: int
    submitted_by: str | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(Answer):
    """Some jobs. `next_cursor` is None at the end."""

    count: int
    jobs: list[JobSummary]
    next_cursor: str | None


class JobAnswer(Answer):
    """What became of a job that was told something."""

    job_id: str
    run: int
    message: str


class Approval(Answer):
    """The decision on what one job made."""

    approval_id: str
    job_id: str
    status: str
    classification: str
    stac_collection_id: str
    stac_item_id: str
    reviewer: str | None = None
    created_at: datetime


class ApprovalPage(Answer):
    """Some records, and how many there are in each state."""

    approvals: list[Approval]
    count: int
    status_counts: dict[str, int]
    next_cursor: str | None = None


class Decision(Answer):
    """What was decided."""

    approval: Approval
    action: str
    approvals_given: int = 1
    approvals_required: int = 1


class ApiKey(Answer):
    """A key without its secret."""

    key_id: str
    client_id: str
    name: str
    roles: list[str]
    active: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class MadeKey(Answer):
    """A new key. `secret_key` is shown this once."""

    key: ApiKey
    secret_key: str = Field(repr=False)


class AuditEntry(Answer):
    """Who did what."""

    audit_id: int
    at: datetime
    actor: str
    client_id: str
    action: str
    object_type: str
    object_id: str
    details: dict[str, Any]


class ErrorEntry(Answer):
    """What an error code means."""

    code: str
    meaning: str
    cause: str
    fix: str
    fixed_by: str
    retryable: bool
    http_status: int | None
