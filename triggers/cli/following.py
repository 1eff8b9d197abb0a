"""Watching requests and jobs until they end, with a progress bar for each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from clients.python.geomachine_client import ApiError, Client
from clients.python.geomachine_client.transport import Json
from core.errors import NotFound
from core.states import JobStatus, terminal_job_statuses

_INTERVAL = 0.3


def follow(client: Client, console: Console, labels: Mapping[str, str]) -> dict[str, Json]:
    """Show the requests or jobs of these ids until all have ended; their last status by id."""
    last: dict[str, Json] = {}
    with _progress(console) as progress:
        bars = {id_: progress.add_task(label, total=100, stage="waiting") for id_, label in labels.items()}
        while len(last) < len(labels):
            for id_ in [i for i in labels if i not in last]:
                status = status_of(client, id_)
                _show(progress, bars[id_], status)
                if JobStatus(str(status["job_status"])) in terminal_job_statuses():
                    last[id_] = status
            if len(last) < len(labels):
                time.sleep(_INTERVAL)
    return last


def status_of(client: Client, id_: str) -> Json:
    """The status of a request, or of a job that no request asked for, in the same words."""
    try:
        return client.raw.get(f"/api/platform/status/{id_}")
    except ApiError as e:
        if e.code != NotFound.code:
            raise
    job = client.raw.get(f"/api/jobs/status/{id_}")
    return {
        **job,
        "job_id": job["jobId"],
        "job_status": job["status"],
        "job_error": job["errorDetails"],
        "task_summary": job["taskSummary"],
    }


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[stage]}"),
        TimeElapsedColumn(),
        console=console,
    )


def _show(progress: Progress, bar: TaskID, status: Json) -> None:
    percent = cast("float", status["progress"])
    match JobStatus(str(status["job_status"])):
        case JobStatus.COMPLETED:
            progress.update(bar, completed=100, stage="[green]completed")
        case JobStatus.COMPLETED_WITH_ERRORS:
            progress.update(bar, completed=100, stage="[yellow]completed with errors")
        case JobStatus.FAILED | JobStatus.CANCELLED as ended:
            progress.update(bar, completed=percent, stage=f"[red]{ended.value}")
        case _:
            stages = list(_stages(status))
            progress.update(bar, completed=percent, stage=_doing(stages[-1]) if stages else "")


def _doing(stage: Json) -> str:
    if stage.get("pending_retry"):
        return f"[yellow]{stage['name']}: waits to try again"
    return f"{stage['name']} {stage['progress_message'] or ''}"


def _stages(status: Json) -> Iterable[Json]:
    summary = cast("Json", status["task_summary"])
    return cast("dict[str, Json]", summary["by_stage"]).values()


def seconds_by_stage(status: Json) -> dict[str, float]:
    """How long each finished stage took."""
    taken = {}
    for stage in _stages(status):
        if stage["started_at"] and stage["finished_at"]:
            begun, ended = (datetime.fromisoformat(str(stage[k])) for k in ("started_at", "finished_at"))
            taken[str(stage["name"])] = (ended - begun).total_seconds()
    return taken
