"""Jobs, their stages and tasks, and the open work that workers claim."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, JsonValue

from core.models.record import BigInt, Created, JobId, Json, NonNegative, Positive, Record
from core.schema.table import Check, Column, ForeignKey, Index, Table, is_one_of
from core.states import (
    JOB_TRANSITIONS,
    STAGE_TRANSITIONS,
    TASK_TRANSITIONS,
    FailurePolicy,
    JobStatus,
    StageStatus,
    TaskStatus,
    is_terminal,
)

ADVANCE = -1  #: the task index of the queue entry that asks for a stage's successor

_JOB_ENDS = is_one_of("status", (s for s in JobStatus if is_terminal(s, JOB_TRANSITIONS)))
_STAGE_ENDS = is_one_of("status", (s for s in StageStatus if is_terminal(s, STAGE_TRANSITIONS)))
_TASK_ENDS = is_one_of("status", (s for s in TaskStatus if is_terminal(s, TASK_TRANSITIONS)))
_STAGE_SUCCESSES = is_one_of("status", (StageStatus.COMPLETED, StageStatus.COMPLETED_WITH_ERRORS))
_JOB_SUCCESSES = is_one_of("status", (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS))


class JobRecord(Record):
    """One run of one piece of work. Runs of the same `job_id` follow each other; at most one is not superseded."""

    __table__: ClassVar[Table] = Table(
        name="jobs",
        primary_key=("job_key",),
        uniques=(("job_id", "run"),),
        indexes=(
            Index(("job_id",), unique=True, where="superseded_at IS NULL", name="ux_jobs_job_id_current"),
            Index(("created_at", "job_key")),
            Index(("status", "created_at", "job_key")),
            Index(("job_type", "created_at", "job_key")),
            Index(("submitted_by", "created_at", "job_key")),
            Index(("finished_at",), where="archived_at IS NULL", name="ix_jobs_to_archive"),
            Index(("finished_at",), where="archived_at IS NOT NULL", name="ix_jobs_to_drop"),
        ),
        checks=(
            Check("finished_iff_terminal", f"({_JOB_ENDS}) = (finished_at IS NOT NULL)"),
            Check("failed_has_error", "status <> 'failed' OR error_code IS NOT NULL"),
            Check("completed_has_result", f"NOT ({_JOB_SUCCESSES}) OR result IS NOT NULL"),
            Check("stage_exists", "stage <= total_stages"),
        ),
        storage={"fillfactor": "80"},
    )

    job_key: Annotated[int, Column(sql_type="bigint", identity=True)]
    job_id: JobId
    run: Positive = 1
    job_type: str
    parameters: Json
    status: JobStatus = JobStatus.QUEUED
    stage: NonNegative = 1
    total_stages: Positive = 1
    result: Json | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_hint: str | None = None
    submitted_by: str | None = None
    correlation_id: str | None = None
    callbacks: list[str] = Field(default_factory=list)
    created_at: Created
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    updated_at: Created
    superseded_at: AwareDatetime | None = None
    archived_at: AwareDatetime | None = None


class StageRecord(Record):
    """A stage that was planned. `remaining` counts down; who brings it to zero moves the job on."""

    __table__: ClassVar[Table] = Table(
        name="stages",
        primary_key=("job_key", "stage"),
        foreign_keys=(ForeignKey(("job_key",), "app.jobs", ("job_key",), on_delete="CASCADE"),),
        checks=(
            Check("remaining_of_expected", "remaining <= expected"),
            Check("failed_of_expected", "failed <= expected"),
            Check("finished_iff_terminal", f"({_STAGE_ENDS}) = (finished_at IS NOT NULL)"),
            Check("completed_is_empty", f"NOT ({_STAGE_SUCCESSES}) OR remaining = 0"),
            Check("errors_are_counted", "(status = 'completed_with_errors') <= (failed > 0)"),
        ),
        storage={"fillfactor": "50"},
    )

    job_key: BigInt
    stage: Positive
    name: str
    task_type: str
    queue: str
    heavy: bool
    max_failures: Positive
    on_failure: FailurePolicy = FailurePolicy.FAIL_FAST
    status: StageStatus = StageStatus.PROCESSING
    expected: NonNegative
    remaining: NonNegative
    failed: NonNegative = 0
    started_at: Created
    finished_at: AwareDatetime | None = None


class TaskRecord(Record):
    """One task. Written when a heavy attempt starts and when the task ends, so no index holds what changes.

    That keys are distinct within a stage is checked where stages are planned: an index for it costs a third of the
    write-ahead log of a task, and misleads the planner, which then looks tasks up by two of its three columns. That
    they belong to a stage is the rule of a trigger, which checks a statement and not each row.
    """

    __table__: ClassVar[Table] = Table(
        name="tasks",
        primary_key=("job_key", "stage", "task_index"),
        checks=(
            Check("finished_iff_terminal", f"({_TASK_ENDS}) = (finished_at IS NOT NULL)"),
            Check("completed_iff_result", "(status = 'completed') = (result IS NOT NULL)"),
            Check("failed_has_error", "status <> 'failed' OR error_code IS NOT NULL"),
        ),
        storage={"fillfactor": "70"},
    )

    job_key: BigInt
    stage: Positive
    task_index: NonNegative
    task_key: str
    task_type: str
    status: TaskStatus = TaskStatus.PENDING
    attempt: NonNegative = 0
    parameters: Json
    result: JsonValue | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_history: list[Json] = Field(default_factory=list)
    checkpoint_phase: NonNegative = 0
    checkpoint_data: Json = Field(default_factory=dict)
    progress: Annotated[float, Field(ge=0, le=100), Column(sql_type="real")] | None = None
    progress_message: str | None = None
    worker: str | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    duration_ms: NonNegative | None = None


class QueueEntry(Record):
    """Open work: a task, or the advance of a finished stage. The row is the lease; `visible_at` is when it ends.

    It has no foreign key: rows are written and deleted at every step, and go before their task does.
    """

    __table__: ClassVar[Table] = Table(
        name="queue",
        primary_key=("queue_id",),
        uniques=(("job_key", "stage", "task_index"),),
        indexes=(Index(("queue", "heavy", "queue_id")),),
        storage={
            "fillfactor": "70",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_cost_delay": "0",
        },
    )

    queue_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    queue: str
    job_key: BigInt
    stage: Positive
    task_index: Annotated[int, Field(ge=ADVANCE)]
    heavy: bool
    visible_at: Created
    attempt: NonNegative = 0
    failures: NonNegative = 0
    max_failures: Positive
    losses: NonNegative = 0
    escalated: bool = False
    worker: str | None = None
    dispatched_at: AwareDatetime | None = None  #: handed to the broker, for the attempt that comes next
    dispatches: NonNegative = 0  #: how often, over all attempts
