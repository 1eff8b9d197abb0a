"""`geomachine queues`: the queues of Azure Service Bus."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

import config
from infrastructure.queues.administration import QueueAdministration
from infrastructure.queues.connection import queue_names

app = typer.Typer(help="Make and count the queues of Service Bus.", no_args_is_help=True)
console = Console(markup=False)  # names and messages may hold brackets


@app.command()
def ensure() -> None:
    """Create what is missing and mend what can be changed. Exit code 1 when a queue must be made anew."""
    wrong = False
    for queue in _administration().ensure():
        console.print(f"{queue.name}: {queue.change}{f' ({queue.note})' if queue.note else ''}", highlight=False)
        wrong = wrong or queue.change == "wrong"
    raise typer.Exit(1 if wrong else 0)


@app.command()
def status() -> None:
    """Count the messages of each queue."""
    table = Table("queue", "active", "scheduled", "dead-lettered")
    for queue in _administration().counts():
        table.add_row(queue.name, str(queue.active), str(queue.scheduled), str(queue.dead))
    console.print(table)


def _administration() -> QueueAdministration:
    settings = config.load().service_bus
    return QueueAdministration(settings, queue_names(settings))
