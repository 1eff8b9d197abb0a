"""How an attempt at a task can end."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.effects import Effect
from core.errors import ErrorKind


@dataclass(frozen=True)
class Done:
    """The handler returned its output."""

    output_json: str
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The handler raised; `kind` decides whether it runs again."""

    code: str
    message: str
    kind: ErrorKind
    hint: str | None = None


@dataclass(frozen=True)
class Suspended:
    """The handler stopped at a checkpoint because it was asked to; the attempt is not counted."""


Outcome = Done | Failed | Suspended
