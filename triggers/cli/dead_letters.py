"""`geomachine dead-letters`: what failed for good, until somebody decides."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clients.python.geomachine_client.transport import Json
from core.errors import InvalidRequest
from triggers.cli import local
from triggers.cli.instance import Instance
from triggers.cli.jobs import coloured, event_line, whole

app = typer.Typer(help="Look at what failed for good; run it again or let it go.", no_args_is_help=True)
console = Console(markup=False)  # names and messages may hold brackets
_PATH = "/api/admin/dead-letters"

Which = Annotated[
    str | None, typer.Argument(metavar="[ID|FINGERPRINT]", help="One letter, or all open ones with such an error.")
]
Everything = Annotated[bool, typer.Option("--all", help="All open ones.")]


@app.command("list")
def list_letters(
    each: Annotated[bool, typer.Option("--each", help="One by one instead of by error.")] = False,
    state: Annotated[str, typer.Option(help="open, redriven, discarded or any.")] = "open",
    job_type: Annotated[str | None, typer.Option(help="Only jobs of this type.")] = None,
    error_code: Annotated[str | None, typer.Option(help="Only this error.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50,
) -> None:
    """List dead letters, by what their errors have in common."""
    query: dict[str, str | int | bool] = {"group": not each, "state": state, "limit": limit}
    query |= {k: v for k, v in (("job_type", job_type), ("error_code", error_code)) if v is not None}
    with local.connect(Instance()) as client:
        page = client.raw.get(_PATH, **query)
    if not page["count"]:
        console.print("No dead letters.")
    elif each:
        console.print(_letters(cast("list[Json]", page["dead_letters"])))
    else:
        console.print(_groups(cast("list[Json]", page["groups"])))


@app.command()
def show(letter: Annotated[int, typer.Argument(metavar="ID", min=1)]) -> None:
    """Show one: what it was told, every failed attempt, what happened last."""
    with local.connect(Instance()) as client:
        found = client.raw.get(f"{_PATH}/{letter}")
    record = cast("Json", found["dead_letter"])
    task = "" if record["stage"] is None else f" stage {record['stage']} task {record['task_index']}"
    title = Text(f"{record['kind']} of {record['job_type']} {record['job_id']}{task}: ")
    console.print(title.append(coloured(str(record["state"]))), soft_wrap=True)
    console.print(
        f"{record['error_code']} ({record['cause']}): {record['error_message']}", markup=False, soft_wrap=True
    )
    if record["resolution"]:
        console.print(f"{record['resolved_by']}: {record['resolution']}", markup=False, soft_wrap=True)
    console.print_json(data=record["payload"])
    for attempt in cast("list[Json]", found["error_history"]):
        line = f"attempt {attempt['attempt']} on {attempt['worker']} at {str(attempt['at'])[:19]}: {attempt['code']}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for event in cast("list[Json]", found["events"])[::-1]:
        console.print(event_line(event), soft_wrap=True)


@app.command()
def redrive(which: Which = None, everything: Everything = False) -> None:
    """Run one again, all of an error, or all. Exit code 1 when some could not."""
    path, body = _target(which, everything)
    with local.connect(Instance()) as client:
        answer = client.raw.post(f"{_PATH}{path}/redrive", body)
    if not body:
        console.print(f"Dead letter {which} runs again.")
        return
    console.print(f"{answer['redriven']} run again.")
    stuck = {k: cast("int", answer[k]) for k in ("running", "superseded", "resolved")}
    if any(stuck.values()):
        console.print(", ".join(f"{n} {k}" for k, n in stuck.items() if n) + ": not redriven.")
        raise typer.Exit(1)


@app.command()
def discard(
    reason: Annotated[str, typer.Option(help="Why nobody needs it.")],
    which: Which = None,
    everything: Everything = False,
) -> None:
    """Let one go, all of an error, or all."""
    path, body = _target(which, everything)
    with local.connect(Instance()) as client:
        answer = client.raw.post(f"{_PATH}{path}/discard", {**body, "reason": reason})
    console.print(f"{answer['discarded']} discarded." if body else f"Dead letter {which} is discarded.")


def _target(which: str | None, everything: bool) -> tuple[str, Json]:
    """Path and body: of one letter, or of a bulk command."""
    if everything == (which is not None):
        raise InvalidRequest("Give an id, a fingerprint, or --all.")
    if which is None:
        return "", {"all": True}
    return (f"/{which}", {}) if which.isdecimal() and len(which) < 20 else ("", {"fingerprint": which})


def _groups(groups: list[Json]) -> Table:
    table = Table(whole("fingerprint"), "count", "jobs", "last seen", "error", "example")
    for g in groups:
        error = Text(str(g["error_code"])).append(f" {g['error_message']}"[:120])
        last = str(g["last_seen"])[:16].replace("T", " ")
        table.add_row(str(g["fingerprint"]), str(g["count"]), str(g["jobs"]), last, error, str(g["example_id"]))
    return table


def _letters(letters: list[Json]) -> Table:
    table = Table(whole("id"), "state", "kind", "cause", whole("job"), "task", "error")
    for letter in letters:
        task = "" if letter["stage"] is None else f"s{letter['stage']}-{letter['task_index']}"
        table.add_row(
            str(letter["dead_letter_id"]),
            coloured(str(letter["state"])),
            str(letter["kind"]),
            str(letter["cause"]),
            str(letter["job_id"] or "")[:12],
            task,
            str(letter["error_code"]),
        )
    return table
