"""What happened to a job, in order."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import BigInt, Json, NonNegative, Record
from core.schema.table import Column, Index, Table


class JobEventType(StrEnum):
    """What an event tells."""

    JOB_CREATED = "job_created"  #: accepted, with its first tasks
    JOB_MESSAGE_RECEIVED = "job_message_received"  #: a broker delivered the job's message
    JOB_STARTED = "job_started"  #: its first task was claimed
    JOB_COMPLETED = "job_completed"  #: result written
    JOB_FAILED = "job_failed"  #: gave up
    JOB_CANCELLED = "job_cancelled"  #: stopped on request
    STAGE_STARTED = "stage_started"  #: its tasks exist
    STAGE_COMPLETED = "stage_completed"  #: its last task ended
    STAGE_ADVANCEMENT_FAILED = "stage_advancement_failed"  #: planning the next stage raised
    TASK_QUEUED = "task_queued"  #: claimable
    TASK_STARTED = "task_started"  #: claimed
    TASK_COMPLETED = "task_completed"  #: output stored
    TASK_FAILED = "task_failed"  #: gave up
    TASK_RETRYING = "task_retrying"  #: an attempt failed, another follows
    TASK_INTERRUPTED = "task_interrupted"  #: stopped at a checkpoint, continues later
    TASK_CANCELLED = "task_cancelled"  #: its job ended first
    TASK_NOT_FOUND = "task_not_found"  #: a message named a task that does not exist
    LEASE_EXPIRED = "lease_expired"  #: its worker went silent
    CALLBACK_STARTED = "callback_started"  #: a completion callback is being delivered
    CALLBACK_SUCCESS = "callback_success"  #: delivered
    CALLBACK_FAILED = "callback_failed"  #: not delivered
    STATUS_UPDATE = "status_update"  #: anything else worth telling
    CHECKPOINT = "checkpoint"  #: a phase of a task is done


class JobEventStatus(StrEnum):
    """How an event is to be taken."""

    SUCCESS = "success"  #: something ended well
    FAILURE = "failure"  #: something ended badly
    WARNING = "warning"  #: something went wrong and is being mended
    INFO = "info"  #: something happened
    PENDING = "pending"  #: something began


class JobEvent(Record):
    """One event, written in the transaction that made it true. A trigger checks that its job exists."""

    __table__: ClassVar[Table] = Table(
        name="job_events",
        primary_key=("event_id",),
        indexes=(
            Index(("job_key", "event_id")),
            # Most of a large job's history is completions, whose rows of app.tasks tell as much.
            Index(
                ("job_key", "task_index", "event_id"),
                where="event_type <> 'task_completed'",
                name="ix_job_events_untypical",
            ),
            Index(("created_at",), method="brin"),
        ),
    )

    event_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    job_key: BigInt
    stage: NonNegative | None = None
    task_index: int | None = None
    attempt: NonNegative | None = None
    event_type: JobEventType
    event_status: JobEventStatus
    checkpoint_name: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    worker: str | None = None
    duration_ms: NonNegative | None = None
    event_data: Json = Field(default_factory=dict)
    created_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
