"""What a model says about its table. Nothing here knows a driver: the declarations are plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SCHEMAS = ("app", "geo", "h3")  #: the schemas that are ours; `geo` also holds tables that are data


@dataclass(frozen=True)
class Column:
    """What a field's annotation cannot say. Null fields take what the annotation implies.

    `default` is an SQL expression. `nullable=False` on an optional field means the database fills it in.
    """

    sql_type: str | None = None
    default: str | None = None
    nullable: bool | None = None
    identity: bool = False
    geometry: Geometry | None = None


@dataclass(frozen=True)
class Geometry:
    """A PostGIS geometry column."""

    type: str
    srid: int = 4326


@dataclass(frozen=True)
class Check:
    """A rule over a row. `name` says the rule; the constraint becomes `ck_<table>_<name>`."""

    name: str
    rule: str


@dataclass(frozen=True)
class Index:
    """An index. `where` makes it partial; `name` is needed only where two would have the same columns."""

    columns: tuple[str, ...]
    unique: bool = False
    where: str | None = None
    method: str = "btree"
    name: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    """A reference to the primary key or a unique key of another table, named as `schema.table`."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]
    on_delete: str | None = None


@dataclass(frozen=True)
class Table:
    """A table. Its columns are the fields of the model that declares it."""

    name: str
    primary_key: tuple[str, ...]
    schema: str = "app"
    uniques: tuple[tuple[str, ...], ...] = ()
    indexes: tuple[Index, ...] = ()
    checks: tuple[Check, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    storage: Mapping[str, str] = field(default_factory=dict)

    @property
    def qualified(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"


def is_one_of(column: str, values: Iterable[StrEnum]) -> str:
    """The rule that a column holds one of these values, the same text for the same set."""
    quoted = ", ".join(f"'{value}'" for value in sorted(values))
    return f"{column} IN ({quoted})"
