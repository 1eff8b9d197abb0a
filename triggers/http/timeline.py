"""`/api/jobs/{job_id}/timeline`: what a page needs to draw a job: stages, tasks, attempts, waiting reasons."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from core.contracts.situations import Situation, WaitingFor
from core.machine.identity import TaskId
from infrastructure.postgres.job_views import JobView, StageView, TaskFilter, TaskState, TaskView
from infrastructure.postgres.timeline import AttemptEvent
from services.jobs.situation import waiting_for
from triggers.http.access import TheRuntime
from triggers.http.attempts import Attempt, attempts
from triggers.http.history import StageNumber, milliseconds
from triggers.http.paging import Cursor, Limit, cursor, position
from triggers.http.scope import TheJob, standing
from triggers.http.views import JobBrief

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
TASKS = "tasks"


class TimelineJob(JobBrief, Situation):
    """The job: the bar above all others."""

    duration_ms: int | None
    error_hint: str | None


class TaskCounts(BaseModel):
    """A stage's tasks by what they are doing."""

    total: int
    completed: int
    failed: int
    cancelled: int
    processing: int
    pending_retry: int
    queued: int


class TimelineStage(BaseModel):
    """A stage that was planned. `started_at` is when its tasks were created."""

    stage: int
    name: str
    task_type: str
    queue: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    duration_ms: int | None
    tasks: TaskCounts
    next_retry_at: datetime | None


class TimelineTask(BaseModel):
    """A task with every attempt at it, and what it waits for unless it has ended."""

    task_id: str
    stage: int
    task_index: int
    task_key: str
    task_type: str
    status: TaskState
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    progress: float | None
    progress_message: str | None
    checkpoint_phase: int
    error_code: str | None
    error_message: str | None
    attempts: list[Attempt]
    waiting_for: WaitingFor | None
    next_retry_at: datetime | None


class Timeline(BaseModel):
    """A job, all its stages, and a page of its tasks."""

    job: TimelineJob
    stages: list[TimelineStage]
    tasks: list[TimelineTask]
    next_cursor: str | None


@router.get("/{job_id}/timeline")
def timeline(
    job: TheJob,
    runtime: TheRuntime,
    limit: Limit = 100,
    after: Cursor = None,
    stage: StageNumber = None,
    status: TaskState | None = None,
) -> Timeline:
    """Who did what when. Tasks come in order of stage and index, a page at a time."""
    wanted = TaskFilter(state=status, stage=stage, after=task_position(after))
    stages = runtime.jobs.stages(job)
    tasks = runtime.jobs.tasks(job, limit, wanted)
    events = runtime.history.attempts(job, tasks)
    return Timeline(
        job=_job(job, standing(runtime, job, stages)),
        stages=[_stage(s) for s in stages],
        tasks=[_task(t, events.get((t.stage, t.task_index), []), job) for t in tasks],
        next_cursor=task_cursor(tasks, limit),
    )


def task_position(after: str | None) -> tuple[int, int] | None:
    """Stage and index behind a cursor of tasks."""
    found = position(TASKS, after, 2)
    return (found[0], found[1]) if found else None


def task_cursor(tasks: list[TaskView], limit: int) -> str | None:
    """Where the next page of tasks starts; None after the last."""
    return cursor(TASKS, tasks[-1].stage, tasks[-1].task_index) if len(tasks) == limit else None


def _job(job: JobView, situation: Situation) -> TimelineJob:
    return TimelineJob(
        **dict(situation),
        **dict(JobBrief.model_validate(job, from_attributes=True)),
        duration_ms=milliseconds(job.started_at, job.finished_at),
        error_hint=job.error_hint,
    )


def _stage(stage: StageView) -> TimelineStage:
    return TimelineStage(
        stage=stage.stage,
        name=stage.name,
        task_type=stage.task_type,
        queue=stage.queue,
        status=stage.status,
        started_at=stage.started_at,
        finished_at=stage.finished_at,
        duration_ms=milliseconds(stage.started_at, stage.finished_at),
        tasks=TaskCounts(
            total=stage.expected,
            completed=stage.completed,
            failed=stage.failed_tasks,
            cancelled=stage.cancelled,
            processing=stage.processing,
            pending_retry=stage.pending_retry,
            queued=stage.queued,
        ),
        next_retry_at=stage.next_retry_at,
    )


def _task(task: TaskView, events: list[AttemptEvent], job: JobView) -> TimelineTask:
    item = task.open_item
    return TimelineTask(
        task_id=str(TaskId(job.job_id, task.stage, task.task_index)),
        stage=task.stage,
        task_index=task.task_index,
        task_key=task.task_key,
        task_type=task.task_type,
        status=task.state,
        started_at=task.started_at,
        finished_at=task.finished_at,
        duration_ms=task.duration_ms,
        progress=task.progress,
        progress_message=task.progress_message,
        checkpoint_phase=task.checkpoint_phase,
        error_code=task.error_code,
        error_message=task.error_message,
        attempts=attempts(task, events),
        waiting_for=waiting_for(item) if item else None,
        next_retry_at=task.visible_at if task.state is TaskState.PENDING_RETRY else None,
    )
