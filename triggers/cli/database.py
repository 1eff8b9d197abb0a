"""`geomachine db`: the schema."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from infrastructure.postgres import schema
from triggers.cli.instance import Instance

app = typer.Typer(help="Make, compare and remake the database schema.", no_args_is_help=True)
console = Console(markup=False)  # names and messages may hold brackets


@app.command()
def ensure() -> None:
    """Create what is missing; change and delete nothing. Exit code 1 when differences remain."""
    report = schema.ensure(Instance().database_url())
    console.print(report.summary())
    raise typer.Exit(1 if report.remaining else 0)


@app.command()
def rebuild(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Drop every table, catalogue entry and job, and start empty."""
    if not yes:
        typer.confirm("This deletes every job, table and catalogue entry. Continue?", abort=True)
    console.print(schema.rebuild(Instance().database_url()).summary())


@app.command()
def drift() -> None:
    """Compare the database with the models; exit code 1 when they differ."""
    report = schema.SchemaAnalyzer(Instance().database_url()).generate_migration_report()
    console.print(report.summary())
    raise typer.Exit(1 if report.differences else 0)
