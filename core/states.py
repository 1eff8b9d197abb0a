"""Which states a job, stage, task and approval can be in, and which moves are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class JobStatus(StrEnum):
    """The life of a job."""

    QUEUED = "queued"  #: accepted, no task claimed yet
    PROCESSING = "processing"  #: at least one task was claimed
    COMPLETED = "completed"  #: every stage done, result written
    COMPLETED_WITH_ERRORS = "completed_with_errors"  #: done; some items failed, as the job allows
    FAILED = "failed"  #: a task failed for good, or finalising did
    CANCELLED = "cancelled"  #: stopped on request


class StageStatus(StrEnum):
    """The life of a stage."""

    PROCESSING = "processing"  #: its tasks exist
    COMPLETED = "completed"  #: its counter reached zero
    COMPLETED_WITH_ERRORS = "completed_with_errors"  #: the same; some tasks failed, as the job allows
    FAILED = "failed"  #: tasks failed for good, and the job does not allow it
    CANCELLED = "cancelled"  #: its job ended first


class TaskStatus(StrEnum):
    """The life of a task. Whether a pending task is leased is its queue row's to say."""

    PENDING = "pending"  #: open: claimable, leased to a light worker, or waiting for its time
    PROCESSING = "processing"  #: claimed by a worker that reports progress
    COMPLETED = "completed"  #: output stored
    FAILED = "failed"  #: gave up; the error says why
    CANCELLED = "cancelled"  #: its job ended first


class ApprovalStatus(StrEnum):
    """The life of an approval record."""

    PENDING = "pending"  #: waits for a reviewer
    APPROVED = "approved"  #: published
    REJECTED = "rejected"  #: refused with a reason
    REVOKED = "revoked"  #: was published, is no longer
    SUPERSEDED = "superseded"  #: a newer revision is reviewed, or published, in its place


class ArtifactStatus(StrEnum):
    """The life of one revision of an item."""

    DRAFT = "draft"  #: waits beside what the public sees, or for its restoration to be approved
    CURRENT = "current"  #: in the catalogue, published or not
    SUPERSEDED = "superseded"  #: replaced, and kept for a time
    DELETED = "deleted"  #: gone; the row says that it was there


class FailurePolicy(StrEnum):
    """What the final failure of one task means for its job."""

    FAIL_FAST = "fail_fast"  #: the job fails at once and its open tasks are cancelled
    COLLECT = "collect"  #: the other tasks of the stage run, so that every error is known; then the job fails
    PARTIAL = "partial"  #: the others go on; the job completes with errors, unless every task of a stage failed


State = TypeVar("State", JobStatus, StageStatus, TaskStatus, ApprovalStatus, ArtifactStatus)

JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.PROCESSING: frozenset(
        {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.COMPLETED_WITH_ERRORS: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

STAGE_TRANSITIONS: Mapping[StageStatus, frozenset[StageStatus]] = {
    StageStatus.PROCESSING: frozenset(
        {StageStatus.COMPLETED, StageStatus.COMPLETED_WITH_ERRORS, StageStatus.FAILED, StageStatus.CANCELLED}
    ),
    StageStatus.COMPLETED: frozenset(),
    StageStatus.COMPLETED_WITH_ERRORS: frozenset(),
    StageStatus.FAILED: frozenset(),
    StageStatus.CANCELLED: frozenset(),
}

TASK_TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset(
        {TaskStatus.PROCESSING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}
    ),
    TaskStatus.PROCESSING: frozenset(
        {TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}
    ),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
}

APPROVAL_TRANSITIONS: Mapping[ApprovalStatus, frozenset[ApprovalStatus]] = {
    ApprovalStatus.PENDING: frozenset({ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.SUPERSEDED}),
    ApprovalStatus.REJECTED: frozenset({ApprovalStatus.PENDING, ApprovalStatus.SUPERSEDED}),
    ApprovalStatus.APPROVED: frozenset({ApprovalStatus.REVOKED, ApprovalStatus.SUPERSEDED}),
    ApprovalStatus.REVOKED: frozenset(),
    ApprovalStatus.SUPERSEDED: frozenset(),
}

ARTIFACT_TRANSITIONS: Mapping[ArtifactStatus, frozenset[ArtifactStatus]] = {
    ArtifactStatus.DRAFT: frozenset({ArtifactStatus.CURRENT, ArtifactStatus.SUPERSEDED, ArtifactStatus.DELETED}),
    ArtifactStatus.CURRENT: frozenset({ArtifactStatus.SUPERSEDED, ArtifactStatus.DELETED}),
    ArtifactStatus.SUPERSEDED: frozenset({ArtifactStatus.DELETED}),
    ArtifactStatus.DELETED: frozenset(),
}


def is_terminal(status: State, transitions: Mapping[State, frozenset[State]]) -> bool:
    """True when nothing may follow."""
    return not transitions[status]


def terminal_job_statuses() -> frozenset[JobStatus]:
    """The statuses a job never leaves."""
    return frozenset(s for s in JobStatus if is_terminal(s, JOB_TRANSITIONS))
