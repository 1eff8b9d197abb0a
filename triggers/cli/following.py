"""Watching requests until their jobs end, with a progress bar for each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from core.states import JobStatus, terminal_job_statuses
from triggers.cli.client import Client, Json

_INTERVAL = 0.3


def follow(client: Client, console: Console, labels: Mapping[str, str]) -> dict[str, Json]:
    """Show the requests of these ids until all jobs have ended; their last status by id."""
    last: dict[str, Json] = {}
    with _progress(console) as progress:
        bars = {id_: progress.add_task(label, total=100, stage="waiting") for id_, label in labels.items()}
        while len(last) < len(labels):
            for id_ in [i for i in labels if i not in last]:
                status = client.get(f"/api/platform/status/{id_}")
                _show(progress, bars[id_], status)
                if JobStatus(str(status["job_status"])) in terminal_job_statuses():
                    last[id_] = status
            if len(last) < len(labels):
                time.sleep(_INTERVAL)
    return last


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[stage]}"),
        TimeElapsedColumn(),
        console=console,
    )


def _show(progress: Progress, bar: TaskID, status: Json) -> None:
    stages = list(_stages(status))
    job_status = str(status["job_status"])
    if job_status == JobStatus.COMPLETED:
        progress.update(bar, completed=100, stage="[green]completed")
    elif job_status == JobStatus.FAILED:
        progress.update(bar, stage="[red]failed")
    elif stages:
        current = stages[-1]
        progress.update(bar, completed=_percent(stages, status), stage=_doing(current))


def _percent(stages: list[Json], status: Json) -> float:
    total = max(len(stages), cast("int", status["total_stages"]))
    done = 0.0
    for stage in stages:
        tasks = cast("int", stage["total"]) or 1
        done += cast("int", stage.get("completed", 0)) / tasks + (cast("float", stage["progress"] or 0.0) / 100) / tasks
    return 100 * min(done / total, 0.99)


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
