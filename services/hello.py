"""The handlers of hello_world."""

from __future__ import annotations

from core.contracts.context import TaskContext
from core.contracts.hello import Greeted, Greeting
from core.errors import InjectedFailure


def greet(parameters: Greeting, _: TaskContext) -> Greeted:
    """Say the message, or fail as asked."""
    if parameters.fail:
        raise InjectedFailure(f"Greeting {parameters.index} was asked to fail.", hint="Lower failure_rate.")
    return Greeted(index=parameters.index, text=f"{parameters.message} #{parameters.index}")


def reply(parameters: Greeted, _: TaskContext) -> Greeted:
    """Answer a greeting."""
    return Greeted(index=parameters.index, text=f"Reply to {parameters.text!r}")
