"""API keys from the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clients.python.geomachine_client import MadeKey
from core.models.access import Role
from triggers.cli import local
from triggers.cli.instance import Instance

app = typer.Typer(help="API keys of partners, reviewers and admins.", no_args_is_help=True)
console = Console(markup=False)  # names and messages may hold brackets
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `geomachine keys list` shows it.")]
_SHOWN_ONCE = "It is shown this once; nobody can read it again."


@app.command("list")
def listing(
    client_id: Annotated[str | None, typer.Option(help="Only keys of this client.")] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Those that were withdrawn, too.")] = False,
) -> None:
    """List keys, newest first."""
    with local.connect(Instance()) as client:
        found = client.keys(client_id=client_id, revoked=revoked)
    table = Table("key", "client", "name", "roles", "active", "created", "expires", "last used")
    for key in found:
        moments = (f"{m:%Y-%m-%d %H:%M}" if m else "" for m in (key.created_at, key.expires_at, key.last_used_at))
        active = "yes" if key.active else "no"
        table.add_row(key.key_id, key.client_id, key.name, ", ".join(key.roles), active, *moments)
    console.print(table if found else "No keys.")


@app.command()
def create(
    client_id: Annotated[str, typer.Option(help="Whose key it is: the partner system, or a person's name.")],
    role: Annotated[list[Role], typer.Option(help="What it may do; can be repeated.")],
    name: Annotated[str | None, typer.Option(help="What the audit log calls it. Default: the client.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it works. Default: for ever.")] = None,
) -> None:
    """Make a key and print it."""
    with local.connect(Instance()) as client:
        _print(client.create_key(client_id, [r.value for r in role], name=name, days=days))


@app.command()
def rotate(
    key_id: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, max=720, help="How long the old one works on.")] = 0,
) -> None:
    """Make a key that replaces another, and print it."""
    with local.connect(Instance()) as client:
        _print(client.rotate_key(key_id, grace_hours=grace_hours))


@app.command()
def revoke(key_id: KeyId) -> None:
    """Withdraw a key for good."""
    with local.connect(Instance()) as client:
        client.revoke_key(key_id)
    console.print(f"Key {key_id} is revoked.")


def _print(made: MadeKey) -> None:
    # The key alone on standard output, so that a script can take it.
    Console(stderr=True).print(_SHOWN_ONCE)
    typer.echo(made.secret_key)
