"""What an administrator may order about the database as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue


class MaintenanceAction(StrEnum):
    """What can be done to the database as a whole."""

    CHECK = "check"  #: tell how it differs from the models
    ENSURE = "ensure"  #: add what is missing
    CLEANUP = "cleanup"  #: archive and drop old jobs
    REBUILD = "rebuild"  #: drop everything and start empty

    @property
    def destructive(self) -> bool:
        """Whether it takes a token."""
        return self in (MaintenanceAction.CLEANUP, MaintenanceAction.REBUILD)


@dataclass(frozen=True)
class Order:
    """One action; `days` is how old the jobs must be that a cleanup takes."""

    action: MaintenanceAction
    days: int

    @property
    def details(self) -> dict[str, JsonValue]:
        """For the audit log."""
        return {"days": self.days} if self.action is MaintenanceAction.CLEANUP else {}


@dataclass(frozen=True)
class Token:
    """Confirms one order of one caller until `expires_at`, and only while the schema is not made anew."""

    value: str
    expires_at: datetime
