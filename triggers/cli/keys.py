"""API keys from the command line."""

from __future__ import annotations

from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from core.models.access import Role
from triggers.cli import local
from triggers.cli.client import Json
from triggers.cli.instance import Instance

app = typer.Typer(help="API keys of partners, reviewers and admins.", no_args_is_help=True)
console = Console()
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `geomachine keys list` shows it.")]
_SHOWN_ONCE = "It is shown this once; nobody can read it again."


@app.command("list")
def listing(
    client_id: Annotated[str | None, typer.Option(help="Only keys of this client.")] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Those that were withdrawn, too.")] = False,
) -> None:
    """List keys, newest first."""
    asked: dict[str, str | bool] = {"client_id": client_id} if client_id else {}
    with local.connect(Instance()) as client:
        found = cast("list[Json]", client.get("/api/admin/keys", **asked, revoked=revoked)["keys"])
    table = Table("key", "client", "name", "roles", "active", "created", "expires", "last used")
    for key in found:
        moments = (str(key[name] or "")[:16].replace("T", " ") for name in ("created_at", "expires_at", "last_used_at"))
        roles = ", ".join(cast("list[str]", key["roles"]))
        state = "yes" if key["active"] else "no"
        table.add_row(str(key["key_id"]), str(key["client_id"]), str(key["name"]), roles, state, *moments)
    console.print(table if found else "No keys.")


@app.command()
def create(
    client_id: Annotated[str, typer.Option(help="Whose key it is: the partner system, or a person's name.")],
    role: Annotated[list[Role], typer.Option(help="What it may do; can be repeated.")],
    name: Annotated[str | None, typer.Option(help="What the audit log calls it. Default: the client.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it works. Default: for ever.")] = None,
) -> None:
    """Make a key and print it."""
    body: dict[str, object] = {"client_id": client_id, "roles": [r.value for r in role]}
    if name:
        body["name"] = name
    if days:
        body["expires_in_days"] = days
    with local.connect(Instance()) as client:
        _print(client.post("/api/admin/keys", body))


@app.command()
def rotate(
    key_id: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, max=720, help="How long the old one works on.")] = 0,
) -> None:
    """Make a key that replaces another, and print it."""
    with local.connect(Instance()) as client:
        _print(client.post(f"/api/admin/keys/{key_id}/rotate", {"grace_hours": grace_hours}))


@app.command()
def revoke(key_id: KeyId) -> None:
    """Withdraw a key for good."""
    with local.connect(Instance()) as client:
        client.delete(f"/api/admin/keys/{key_id}")
    console.print(f"Key {key_id} is revoked.")


def _print(made: Json) -> None:
    # The key alone on standard output, so that a script can take it.
    Console(stderr=True).print(_SHOWN_ONCE)
    typer.echo(str(made["secret_key"]))
