"""How jobs, tasks and stages are written as JSON for partners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from core.contracts.situations import Situation, WaitingFor
from core.machine.identity import TaskId
from infrastructure.postgres.job_views import JobView, StageView, TaskState, TaskView
from services.jobs.situation import waiting_for

_COUNTS = ("completed", "failed", "processing", "pending_retry", "queued", "cancelled")


class JobBrief(BaseModel):
    """One run of a job, in a line."""

    job_id: str
    run: int
    job_type: str
    status: str
    stage: int
    total_stages: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None
    error_message: str | None


def task_summary(stages: Sequence[StageView]) -> dict[str, object]:
    """Tasks counted by state, over all stages and by stage; zero counters are left out of the stages."""
    by_stage = {}
    totals = dict.fromkeys(_COUNTS, 0)
    for stage in stages:
        counts = _counts(stage)
        for name, count in counts.items():
            totals[name] += count
        by_stage[str(stage.stage)] = {
            "name": stage.name,
            "status": stage.status,
            "total": stage.expected,
            **{name: count for name, count in counts.items() if count},
            "task_types": [stage.task_type],
            "progress": stage.progress,
            "progress_message": stage.progress_message,
            "next_retry_at": stage.next_retry_at,
            "started_at": stage.started_at,
            "finished_at": stage.finished_at,
        }
    # `pending` is what partners' sums call those that wait for another try.
    pending = totals["pending_retry"]
    return {"total": sum(s.expected for s in stages), **totals, "pending": pending, "by_stage": by_stage}


class Task(BaseModel):
    """One task. A pending one that a worker holds is shown as processing."""

    task_id: str
    task_key: str
    task_type: str
    stage: int
    task_index: int
    status: TaskState
    attempt: int
    error: str | None
    error_code: str | None
    progress: float | None
    progress_message: str | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    created_at: datetime
    updated_at: datetime
    waiting_for: WaitingFor | None


def task(view: TaskView, job_id: str) -> Task:
    """A task as callers see it."""
    item = view.open_item
    return Task(
        task_id=str(TaskId(job_id, view.stage, view.task_index)),
        task_key=view.task_key,
        task_type=view.task_type,
        stage=view.stage,
        task_index=view.task_index,
        status=view.state,
        attempt=view.held_attempt or view.attempt,
        error=view.error_message,
        error_code=view.error_code,
        progress=view.progress,
        progress_message=view.progress_message,
        worker=view.leased_by or view.worker,
        started_at=view.started_at,
        finished_at=view.finished_at,
        duration_ms=view.duration_ms,
        created_at=view.created_at,
        updated_at=view.finished_at or view.started_at or view.created_at,
        waiting_for=waiting_for(item) if item else None,
    )


def error(job: JobView) -> dict[str, object] | None:
    """Why a job failed; None when it did not."""
    if job.error_code is None:
        return None
    return {"code": job.error_code, "message": job.error_message, "hint": job.error_hint}


def job(view: JobView, stages: Sequence[StageView], situation: Situation) -> dict[str, object]:
    """A job as `/api/jobs/status` shows it."""
    return {
        "jobId": view.job_id,
        "jobType": view.job_type,
        "status": view.status.value,
        "run": view.run,
        "stage": view.stage,
        "totalStages": view.total_stages,
        "parameters": view.parameters,
        "createdAt": view.created_at,
        "startedAt": view.started_at,
        "finishedAt": view.finished_at,
        "updatedAt": view.updated_at,
        "resultData": view.result,
        "errorDetails": error(view),
        "taskSummary": task_summary(stages),
        **dict(situation),
    }


def _counts(stage: StageView) -> dict[str, int]:
    return {
        "completed": stage.completed,
        "failed": stage.failed_tasks,
        "processing": stage.processing,
        "pending_retry": stage.pending_retry,
        "queued": stage.queued,
        "cancelled": stage.cancelled,
    }
