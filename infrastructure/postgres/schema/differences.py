"""How a database can differ from the models, and what `ensure` did about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class DifferenceKind(StrEnum):
    """What kind of object differs."""

    EXTENSION = "extension"  #: a PostgreSQL extension
    SCHEMA = "schema"  #: a namespace
    PGSTAC = "pgstac"  #: the version of pgSTAC
    ENUM = "enum"  #: an enum type or its labels
    TABLE = "table"  #: a whole table
    COLUMN = "column"  #: a column, its type, default or nullability
    CONSTRAINT = "constraint"  #: a key, a foreign key or a check
    INDEX = "index"  #: an index, its columns, order or predicate
    STORAGE = "storage"  #: a storage parameter of a table
    TYPE = "type"  #: a composite type that functions return
    FUNCTION = "function"  #: a function or procedure
    VIEW = "view"  #: a view
    TRIGGER = "trigger"  #: a trigger


@dataclass(frozen=True, order=True)
class Difference:
    """One difference. `additive` is true when `ensure` mends it without touching data."""

    kind: DifferenceKind
    object: str
    detail: str
    additive: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.object}: {self.detail}"


@dataclass(frozen=True)
class MigrationReport:
    """How the live database differs from the models. Empty when it does not."""

    differences: tuple[Difference, ...]

    @property
    def additive(self) -> tuple[Difference, ...]:
        """What `ensure` would mend."""
        return tuple(d for d in self.differences if d.additive)

    @property
    def destructive(self) -> tuple[Difference, ...]:
        """What only a person, or `rebuild`, can mend."""
        return tuple(d for d in self.differences if not d.additive)

    def summary(self) -> str:
        """The report as lines of text."""
        if not self.differences:
            return "The database is as the models declare it."
        return "\n".join(
            [
                *_section("Missing or outdated; `geomachine db ensure` mends it:", self.additive),
                *_section("Changed or not declared; left as it is:", self.destructive),
            ]
        )

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True)
class Refusal:
    """An additive change that PostgreSQL refused, such as a check that existing rows break."""

    object: str
    reason: str

    def __str__(self) -> str:
        return f"{self.object}: {self.reason}"


@dataclass(frozen=True)
class EnsureReport:
    """What `ensure` mended, what it was refused, and what still differs."""

    applied: tuple[Difference, ...]
    refused: tuple[Refusal, ...]
    remaining: tuple[Difference, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.applied)

    def summary(self) -> str:
        """The report as lines of text."""
        lines = [
            *_section("Mended:", self.applied),
            *_section("Refused by PostgreSQL:", self.refused),
            *_section("Still different:", self.remaining),
        ]
        return "\n".join(lines) if lines else "The database was as the models declare it; nothing was changed."

    def __str__(self) -> str:
        return self.summary()


def _section(title: str, items: Iterable[object]) -> list[str]:
    lines = [f"  {item}" for item in items]
    return [title, *lines] if lines else []
