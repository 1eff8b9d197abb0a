"""Every command of `geomachine`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clients.python.geomachine_client import ClientError
from clients.python.geomachine_client.transport import Json
from core.errors import GeomachineError
from core.states import JobStatus
from triggers.cli import (
    consistency,
    database,
    dead_letters,
    demo,
    following,
    jobs,
    keys,
    local,
    processes,
    queues,
    supervisor,
    uploads,
)
from triggers.cli.instance import Instance

app = typer.Typer(
    help="Rasters and vectors in; approved COGs, PostGIS tables and STAC items out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database.app, name="db")
app.add_typer(queues.app, name="queues")
app.add_typer(keys.app, name="keys")
app.add_typer(consistency.app, name="consistency")
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel="Jobs")
for command in (jobs.jobs, jobs.events, jobs.timeline, jobs.cancel, jobs.retry):
    app.command(rich_help_panel="Jobs")(command)
app.command("serve", rich_help_panel="Processes")(processes.serve)
app.command("worker", rich_help_panel="Processes")(processes.worker)

console = Console()
Port = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Default: GEOMACHINE_PORT, else 7071 or the next free one.")
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")]
ApprovalId = Annotated[str, typer.Argument(help="As `geomachine approvals` lists it.")]


@app.command("demo")
def demo_command(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE ...]", help="Rasters and vectors to publish.")
    ] = None,
) -> None:
    """Publish FILEs, or sample data, from upload to approved catalogue entry."""
    instance = Instance()
    if instance.settings.client.url is None:
        local.ensure_up(instance, console)
    with local.connect(instance) as client:
        home = instance.settings.app.home
        complete = demo.run(client, local.bronze(instance.settings), console, files or [], home)
    if instance.settings.client.url is None:
        console.print("The system stays up; ./geomachine down stops it.")
    raise typer.Exit(0 if complete else 1)


@app.command()
def up(
    port: Port = None,
    workers: Workers = local.WORKERS,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is ready.")] = False,
) -> None:
    """Run database, service and workers on this machine."""
    instance = Instance()
    if detach:
        running = local.ensure_up(instance, console, port=port, workers=workers)
        console.print(
            f"Up at {running.url}/api/interface/swagger with {running.workers} workers. Stop: ./geomachine down",
            soft_wrap=True,
        )
    else:
        console.print(f"Starting; logs in {instance.logs}. Ctrl-C stops everything.", soft_wrap=True)
        supervisor.run(instance, port=port, workers=workers)


@app.command()
def down() -> None:
    """Stop everything that runs from this home."""
    console.print("Stopped." if local.stop(Instance()) else "Nothing was running.")


@app.command()
def status() -> None:
    """Say what runs and how it is."""
    instance = Instance()
    running = instance.running()
    if instance.settings.client.url is None and running is None:
        console.print(f"Down. Home: {instance.home}", soft_wrap=True)
        raise typer.Exit(3)
    with local.connect(instance) as client:
        health = client.health()
        console.print(f"[bold]{client.url}[/] {health['status']}")
        for name, state in cast("dict[str, Json]", health["components"]).items():
            took = f" in {state['latency_ms']} ms" if "latency_ms" in state else ""
            console.print(f"  {name}: {state['status']}{took}", highlight=False)
            if wrong := state.get("error") or state.get("warning"):
                console.print(f"    {wrong} {state['hint']}", highlight=False, soft_wrap=True, markup=False)
        newest = cast("list[Json]", client.raw.get("/api/jobs", limit=10)["jobs"])
    table = Table("job", "type", "status", "stage", "created")
    for job in newest:
        stage = f"{job['stage']}/{job['total_stages']}"
        table.add_row(
            str(job["job_id"])[:12], str(job["job_type"]), str(job["status"]), stage, str(job["created_at"])[:19]
        )
    console.print(table)


@app.command()
def key() -> None:
    """Print the admin API key, for the X-API-Key header."""
    sys.stdout.write(Instance().key() + "\n")


@app.command()
def submit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE ...")],
    dataset_id: Annotated[str, typer.Option(help="Whose dataset it is.")],
    resource_id: Annotated[str | None, typer.Option(help="Default: the file's name.")] = None,
    version_id: Annotated[str | None, typer.Option(help="Default: a digest of the content.")] = None,
    access_level: Annotated[str, typer.Option(help="public, ouo or restricted.")] = "ouo",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Process again what was submitted before.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow to the end; exit code 1 when one failed.")] = False,
) -> None:
    """Upload files and submit them."""
    if resource_id is not None and len(files) > 1:
        raise typer.BadParameter("One --resource-id cannot name several files.")
    instance = Instance()
    storage = local.bronze(instance.settings)
    labels: dict[str, str] = {}
    with local.connect(instance) as client:
        for file in files:
            dataset = uploads.identified(file, dataset_id, resource_id, version_id)
            name = uploads.upload(storage, dataset)
            answer = demo.submit(
                client, dataset, name.container, name.path, access_level=access_level, overwrite=overwrite
            )
            labels[answer.request_id] = file.name
            told = f"{file.name}: {answer.message}, job {answer.job_id}"
            console.print(told, highlight=False, soft_wrap=True, markup=False)
        if wait:
            ended = following.follow(client, console, labels)
            failures = [demo.failure(labels[i], s) for i, s in ended.items() if s["job_status"] != "completed"]
            for problem in failures:
                console.print(f"[red]✗[/] {escape(problem.file)}: {escape(problem.why)}", soft_wrap=True)
            raise typer.Exit(1 if failures else 0)


@app.command()
def watch(job: jobs.JobArgument) -> None:
    """Follow a job to its end."""
    with local.connect(Instance()) as client:
        job_id = jobs.resolve(client, job)
        ended = following.follow(client, console, {job_id: job[:12]})[job_id]
    if ended["job_status"] not in (JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS):
        console.print(f"[red]✗[/] {escape(demo.failure(job[:12], ended).why)}", soft_wrap=True)
        raise typer.Exit(1)


@app.command()
def approvals(status: Annotated[str, typer.Option(help="pending, approved, rejected or revoked.")] = "pending") -> None:
    """List approval records."""
    with local.connect(Instance()) as client:
        found = cast("list[Json]", client.raw.get("/api/approvals", status=status)["approvals"])
    table = Table("approval", "collection", "item", "classification", "created")
    for record in found:
        columns = ("approval_id", "stac_collection_id", "stac_item_id", "classification", "created_at")
        table.add_row(*(str(record[c]) for c in columns))
    console.print(table if found else f"No {status} approvals.")


@app.command()
def approve(
    approval_id: ApprovalId, notes: Annotated[str | None, typer.Option(help="Kept with the decision.")] = None
) -> None:
    """Consent to publish what was submitted, which publishes it unless a policy asks for more consents."""
    with local.connect(Instance()) as client:
        made = client.approve(approval_id, notes=notes)
    told = f"is approved and published{', and on its way out' if made.action == 'adf_queued' else ''}."
    if made.approval.status != "approved":
        told = f"has consent {made.approvals_given} of {made.approvals_required} and waits for the others."
    console.print(f"{approval_id} {told}", soft_wrap=True)


@app.command()
def reject(approval_id: ApprovalId, reason: Annotated[str, typer.Option(help="The submitter will read it.")]) -> None:
    """Refuse what was submitted."""
    with local.connect(Instance()) as client:
        client.reject(approval_id, reason)
    console.print(f"{approval_id} is rejected.")


@app.command()
def doctor() -> None:
    """Say what this machine lacks, and the command that mends it."""
    findings = processes.diagnose(Instance())
    for finding in findings:
        console.print(
            f"[red]✗[/] {escape(finding.what)}: {escape(finding.why)}\n    {escape(finding.command)}",
            soft_wrap=True,
            highlight=False,
        )
    if not findings:
        console.print("[green]✓[/] Nothing is missing.")
    raise typer.Exit(1 if findings else 0)


def run() -> None:
    """The entry point: errors of ours become one sentence and exit code 1."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app(prog_name="./geomachine")
    except (GeomachineError, ClientError) as e:
        code = getattr(e, "code", "UNREACHABLE")
        told = f"[red]Error:[/] {escape(str(e))} [{code}]"
        Console(stderr=True).print(told, soft_wrap=True, highlight=False)
        raise SystemExit(1) from None
