"""`geomachine consistency`: what of the catalogue disagrees with itself."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from clients.python.geomachine_client.transport import Json
from core.errors import InvalidRequest
from core.models.consistency import ComparisonScope, FindingState
from core.states import JobStatus
from triggers.cli import following, local
from triggers.cli.instance import Instance
from triggers.cli.jobs import whole

app = typer.Typer(help="Compare the catalogue with itself, storage and the tables.", no_args_is_help=True)
console = Console(markup=False)  # names and messages may hold brackets
_PATH = "/api/admin/consistency"
FindingId = Annotated[int, typer.Argument(metavar="ID", min=1)]


@app.command()
def check(
    scope: Annotated[ComparisonScope, typer.Option(help="How much is compared.")] = ComparisonScope.FULL,
) -> None:
    """Compare now and list what disagrees. Exit code 1 when something does."""
    with local.connect(Instance()) as client:
        job = str(client.raw.post(f"{_PATH}/run", {"scope": scope.value})["job_id"])
        ended = following.follow(client, console, {job: "reconcile"})[job]
        if ended["job_status"] != JobStatus.COMPLETED:
            console.print(f"The comparison {ended['job_status']}: ./geomachine events {job[:12]}", soft_wrap=True)
            raise typer.Exit(2)
        page = client.raw.get(f"{_PATH}/findings", limit=500)
    _show(page)
    raise typer.Exit(1 if page["count"] else 0)


@app.command()
def findings(
    state: Annotated[FindingState, typer.Option(help="Which ones.")] = FindingState.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50,
) -> None:
    """List what comparisons found."""
    with local.connect(Instance()) as client:
        _show(client.raw.get(f"{_PATH}/findings", state=state.value, limit=limit))


@app.command()
def dismiss(finding: FindingId, reason: Annotated[str, typer.Option(help="Why it may stay.")]) -> None:
    """Let something stay as it is."""
    with local.connect(Instance()) as client:
        client.raw.post(f"{_PATH}/findings/{finding}/dismiss", {"reason": reason})
    console.print(f"Finding {finding} is dismissed.")


@app.command()
def repair(
    finding: Annotated[list[int] | None, typer.Argument(metavar="[ID ...]", min=1)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that need no person.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be mended.")] = False,
) -> None:
    """Mend findings that need no person. Exit code 1 when one could not be mended."""
    if everything == bool(finding):
        raise InvalidRequest("Give ids, or --all.")
    with local.connect(Instance()) as client:
        body: Json = {"findings": list(finding or []), "limit": 1000, "dry_run": dry_run}
        job = str(client.raw.post(f"{_PATH}/repair", body)["job_id"])
        following.follow(client, console, {job: "repair"})
        result = cast("Json", client.raw.get(f"/api/jobs/status/{job}")["resultData"])
    found, repaired, failed = (cast("list[Json]", result[name]) for name in ("findings", "repaired", "failed"))
    for one in found if dry_run else repaired:
        console.print(f"{one['kind']}: {one['object']}", markup=False, highlight=False, soft_wrap=True)
    for one in failed:
        console.print(f"{one['object']}: {one['reason']}", markup=False, soft_wrap=True)
    console.print(f"{len(found)} to mend." if dry_run else f"{len(repaired)} mended, {len(failed)} not.")
    raise typer.Exit(1 if failed else 0)


@app.command()
def repairs(limit: Annotated[int, typer.Option(min=1, max=500, help="The newest so many.")] = 50) -> None:
    """List what was mended."""
    with local.connect(Instance()) as client:
        found = cast("list[Json]", client.raw.get(f"{_PATH}/repairs", limit=limit)["repairs"])
    table = Table(whole("id"), "when", "kind", "object", "by", "undone by")
    for one in found:
        texts = (one["repair_id"], str(one["repaired_at"])[:16], one["kind"], one["object"], one["by"])
        table.add_row(*map(str, texts), str(one["undone_by"] or ""))
    console.print(table if found else "Nothing was mended.")


@app.command()
def undo(number: Annotated[int, typer.Argument(metavar="REPAIR", min=1)]) -> None:
    """Have everything as it was before a repair."""
    with local.connect(Instance()) as client:
        client.raw.post(f"{_PATH}/repairs/{number}/undo", {})
    console.print(f"Repair {number} is undone; its finding is dismissed.")


def _show(page: Json) -> None:
    found = cast("list[Json]", page["findings"])
    if not found:
        console.print("Nothing disagrees.")
        return
    table = Table(whole("id"), "severity", "kind", "object", "what is wrong", "what mends it")
    for one in found:
        repair = str(one["proposed_repair"]) + (" (automatic)" if one["automatic"] else "")
        texts = (one["finding_id"], one["severity"], one["kind"], one["object"], one["cause"], repair)
        table.add_row(*map(str, texts))
    console.print(table)
