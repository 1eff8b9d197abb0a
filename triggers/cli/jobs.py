"""Looking at jobs from the command line: lists, history, and a timeline drawn in text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from clients.python.geomachine_client import ApiError, Client
from clients.python.geomachine_client.transport import Json
from core.errors import InvalidRequest, NotFound
from core.states import JobStatus
from triggers.cli import local
from triggers.cli.instance import Instance

_ID = re.compile(r"[\w-]{1,100}")  #: of a request or job
_BEGINNING = re.compile("[0-9a-f]{1,64}")  #: of a job_id
console = Console(markup=False)  # names and messages may hold brackets
JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job_id, how it begins, or the request_id of a submission.")
]
_WIDTH = 28
_COLOURS = {
    "completed": "green",
    "completed_with_errors": "yellow",
    "failed": "red",
    "lease_expired": "red",
    "cancelled": "magenta",
    "processing": "cyan",
    "pending_retry": "yellow",
}


def jobs(
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs in this state.")] = None,
    job_type: Annotated[str | None, typer.Option(help="Only jobs of this type.")] = None,
    submitted_by: Annotated[str | None, typer.Option(help="Only jobs of this caller.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 20,
) -> None:
    """List jobs, newest first."""
    asked = {"status": status and status.value, "job_type": job_type, "submitted_by": submitted_by}
    with local.connect(Instance()) as client:
        found = cast("list[Json]", client.raw.get("/api/jobs", limit=limit, **_given(asked))["jobs"])
    table = Table(whole("job"), "type", whole("status"), whole("stage"), "run", "by", whole("created"), "error")
    for job in found:
        table.add_row(
            str(job["job_id"])[:12],
            str(job["job_type"]),
            coloured(str(job["status"])),
            f"{job['stage']}/{job['total_stages']}",
            str(job["run"]),
            str(job["submitted_by"] or ""),
            str(job["created_at"])[:16].replace("T", " "),
            str(job["error_code"] or ""),
        )
    console.print(table if found else "No jobs.")


def events(
    job: JobArgument,
    event_type: Annotated[str | None, typer.Option(help="Only events of this type.")] = None,
    failure: Annotated[bool, typer.Option("--failure", help="What failed, and what came before it.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """Show what happened to a job, in order."""
    with local.connect(Instance()) as client:
        job_id = resolve(client, job)
        if failure:
            _show_failure(client.raw.get(f"/api/jobs/{job_id}/events/failure"))
            return
        found: list[Json] = []
        for event in _paged(client, f"/api/jobs/{job_id}/events", "events", order="desc", event_type=event_type):
            found.append(event)
            if len(found) >= limit:
                break
    for event in found[::-1]:
        console.print(event_line(event), soft_wrap=True)


def timeline(
    job: JobArgument, limit: Annotated[int, typer.Option(min=0, max=500, help="At most so many tasks.")] = 20
) -> None:
    """Draw a job: its stages, the tasks that needed attention, and what it waits for."""
    with local.connect(Instance()) as client:
        job_id = resolve(client, job)
        found = client.raw.get(f"/api/jobs/{job_id}/timeline", limit=max(limit, 1))
        tasks = list(itertools.islice(_noteworthy(client, job_id, found), limit))
        head, stages = cast("Json", found["job"]), cast("list[Json]", found["stages"])
        title = f"{head['job_type']} {str(job_id)[:12]} run {head['run']}: "
        console.print(Text(title).append(coloured(str(head["status"]))).append(f" {head['progress']:.0f}%"))
        console.print(_stages(stages, head))
        if tasks:
            console.print(_tasks(tasks))
    for key, words in (("error_message", "Failed"), ("error_hint", "Hint")):
        if head[key]:
            console.print(f"{words}: {head[key]}", markup=False, soft_wrap=True)
    if head["waiting_for"]:
        console.print(cast("Json", head["waiting_for"])["message"], markup=False, soft_wrap=True)
    if head["eta"]:
        console.print(f"Done about {_clock(head['eta'])}.", highlight=False)


def cancel(job: JobArgument, reason: Annotated[str | None, typer.Option(help="Others will read it.")] = None) -> None:
    """Stop a job."""
    with local.connect(Instance()) as client:
        answer = client.cancel(resolve(client, job), reason)
    console.print(answer.message, highlight=False)


def retry(job: JobArgument) -> None:
    """Run again what did not succeed, keeping what did."""
    with local.connect(Instance()) as client:
        answer = client.retry(resolve(client, job))
    console.print(answer.message, highlight=False)


def resolve(client: Client, text: str) -> str:
    """The job_id behind what a person typed. Raises NotFound, or InvalidRequest when several begin so."""
    if len(text) == 64:
        return text
    unknown = NotFound(f"There is no job or request {text!r}.", hint="./geomachine jobs lists them.")
    if not _ID.fullmatch(text):
        raise unknown
    try:
        return str(client.raw.get(f"/api/platform/status/{text}")["job_id"])
    except ApiError as e:
        if e.code != NotFound.code:
            raise
    if not _BEGINNING.fullmatch(text):
        raise unknown
    found = cast("list[Json]", client.raw.get("/api/jobs", q=text, limit=2)["jobs"])
    if len(found) > 1:
        raise InvalidRequest(f"Several jobs begin with {text!r}.", hint="Give more of the job_id.")
    if not found:
        raise unknown
    return str(found[0]["job_id"])


def whole(title: str) -> Column:
    """A column that is not cut short: people copy what stands in it."""
    return Column(title, no_wrap=True, min_width=len(title), overflow="fold")


def coloured(status: str) -> Text:
    """A state in its colour."""
    return Text(status, style=_COLOURS.get(status, ""))


def _given(query: dict[str, str | None]) -> dict[str, str]:
    return {k: v for k, v in query.items() if v is not None}


def _paged(client: Client, path: str, key: str, **query: str | None) -> Iterator[Json]:
    cursor: str | None = None
    while True:
        page = client.raw.get(path, limit=500, **_given({**query, "cursor": cursor}))
        yield from cast("list[Json]", page[key])
        cursor = cast("str | None", page["next_cursor"])
        if cursor is None:
            return


def _show_failure(found: Json) -> None:
    if not found["has_failure"]:
        console.print("Nothing failed.")
        return
    for event in cast("list[Json]", found["preceding_events"]):
        console.print(event_line(event), soft_wrap=True)
    console.print(event_line(cast("Json", found["failure_event"])), soft_wrap=True)
    if last := cast("Json | None", found["last_successful_step"]):
        console.print(Text("Last that went well: ").append(event_line(last)), soft_wrap=True)


def event_line(event: Json) -> Text:
    """An event as a line."""
    style = {"failure": "red", "warning": "yellow", "success": "green"}.get(str(event["event_status"]), "")
    line = Text(f"{_clock(event['created_at'])} ").append(str(event["event_type"]), style=style)
    if event["task_index"] is not None:
        line.append(f" s{event['stage']}-{event['task_index']} attempt {event['attempt']}")
    elif event["stage"] is not None:
        line.append(f" stage {event['stage']}")
    for key in ("checkpoint_name", "error_code", "error_message", "worker"):
        if event[key]:
            line.append(f" {event[key]}")
    return line


def _stages(stages: list[Json], head: Json) -> Table:
    table = Table("stage", whole("state"), whole("when"), whole("took"), whole("done"), "failed", box=None)
    begin = _moment(head["created_at"])
    end = _moment(head["finished_at"]) if head["finished_at"] else datetime.now(UTC)
    for stage in stages:
        counts = cast("dict[str, int]", stage["tasks"])
        bar = _bar(_moment(stage["started_at"]), _moment(stage["finished_at"] or end.isoformat()), begin, end)
        table.add_row(
            f"{stage['stage']} {stage['name']}",
            coloured(str(stage["status"])),
            bar,
            _duration(stage["duration_ms"]),
            f"{counts['completed']}/{counts['total']}",
            str(counts["failed"] or ""),
        )
    return table


def _noteworthy(client: Client, job_id: str, first: Json) -> Iterator[Json]:
    """Tasks a person asks about: of a small job all that did not simply succeed, of a large one those in trouble."""
    if first["next_cursor"] is None:
        for task in cast("list[Json]", first["tasks"]):
            if task["status"] != "completed" or len(cast("list[Json]", task["attempts"])) > 1:
                yield task
        return
    for status in ("failed", "pending_retry", "processing"):
        yield from _paged(client, f"/api/jobs/{job_id}/timeline", "tasks", status=status)


def _tasks(tasks: list[Json]) -> Table:
    table = Table("task", whole("state"), "attempts", "worker", "about", box=None)
    for task in tasks:
        attempts = cast("list[Json]", task["attempts"])
        tried = Text(" ").join(coloured(str(a["outcome"])) for a in attempts)
        waits = cast("Json | None", task["waiting_for"])
        about = task["progress_message"] or task["error_message"] or (waits and waits["message"]) or ""
        worker = str(attempts[-1]["worker"] or "") if attempts else ""
        name = f"s{task['stage']}-{task['task_index']} {task['task_key']}"
        table.add_row(name, coloured(str(task["status"])), tried, worker, Text(str(about)))
    return table


def _bar(start: datetime, stop: datetime, begin: datetime, end: datetime) -> str:
    whole = max((end - begin).total_seconds(), 0.001)
    first = min(int((start - begin).total_seconds() / whole * _WIDTH), _WIDTH - 1)
    length = max(round((stop - start).total_seconds() / whole * _WIDTH), 1)
    return ("·" * max(first, 0) + "█" * length)[:_WIDTH].ljust(_WIDTH, "·")


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _clock(text: object) -> str:
    return _moment(text).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _duration(ms: object) -> str:
    return "" if ms is None else f"{cast('int', ms) / 1000:.2f} s"
