"""What Alembic does not see: checks, predicates, storage parameters, functions, triggers and views.

The declared schema is built a second time under other names, PostgreSQL prints both, and the prints are compared: no
second opinion about SQL is needed. The copy is rolled back and locks nothing that is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from core.schema.metadata import ENUM_SCHEMA, build_metadata, declared_enums
from core.schema.table import SCHEMAS
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.schema import prerequisites, routines
from infrastructure.postgres.schema.differences import Difference, DifferenceKind
from infrastructure.postgres.schema.session import Session

PREFIX = "geomachine_expected_"
_SQL = Queries("schema")
_PRINTED_BY_TABLE = {
    "constraints": DifferenceKind.CONSTRAINT,
    "indexes": DifferenceKind.INDEX,
    "storage": DifferenceKind.STORAGE,
    "triggers": DifferenceKind.TRIGGER,
}
_PRINTED = {
    "routines": DifferenceKind.FUNCTION,
    "composites": DifferenceKind.TYPE,
    "views": DifferenceKind.VIEW,
}
_CODE = (DifferenceKind.TYPE, DifferenceKind.FUNCTION, DifferenceKind.VIEW, DifferenceKind.TRIGGER)


@dataclass(frozen=True)
class Key:
    """An object by kind and name; `table` is the table it belongs to, if any."""

    kind: DifferenceKind
    table: str
    name: str

    @property
    def full_name(self) -> str:
        """The name a person would look it up by."""
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True)
class Definition:
    """An object as PostgreSQL prints it, and for code the statement that drops it."""

    text: str
    drop: str = ""


Definitions = Mapping[Key, Definition]


@dataclass(frozen=True)
class Comparison:
    """The declared and the live objects of the tables that exist."""

    declared: Definitions
    live: Definitions

    def differences(self) -> list[Difference]:
        """Every object that is missing, too many, or defined in another way."""
        found = []
        for key, wanted in self.declared.items():
            actual = self.live.get(key)
            if actual is None:
                found.append(Difference(key.kind, key.full_name, "missing", additive=True))
            elif actual.text != wanted.text:
                additive = key.kind in (*_CODE, DifferenceKind.STORAGE)
                detail = "differs" if key.kind in _CODE else f"is {actual.text}, should be {wanted.text}"
                found.append(Difference(key.kind, key.full_name, detail, additive=additive))
        for key in self.live.keys() - self.declared.keys():
            found.append(Difference(key.kind, key.full_name, "not declared", additive=key.kind in _CODE))
        return found

    def stale_code(self) -> list[str]:
        """The statements that drop what is not declared or cannot be replaced in place, dependents first."""
        replaceable = (DifferenceKind.FUNCTION, DifferenceKind.TRIGGER)
        stale = [
            (key, definition)
            for key, definition in self.live.items()
            if key.kind in _CODE
            and (
                key not in self.declared or (key.kind not in replaceable and self.declared[key].text != definition.text)
            )
        ]
        return [definition.drop for key, definition in sorted(stale, key=lambda s: -_CODE.index(s[0].kind))]

    def code_differs(self) -> bool:
        """Whether any function, trigger, view or type is not as declared."""
        return any(d.kind in _CODE for d in self.differences())


def compare(session: Session) -> Comparison:
    """Print both schemas. The session's transaction is rolled back; it must not hold anything yet."""
    session.driver.execute(_SQL["plain_names"])
    live = _print(session.driver, "")
    tables = {key.full_name for key in live if key.kind is DifferenceKind.TABLE}
    _build(session)
    declared = _print(session.driver, PREFIX)
    session.rollback()
    ours = {key.full_name for key in declared if key.kind is DifferenceKind.TABLE}
    # A missing or undeclared table is one difference, told by Alembic; what hangs on it adds nothing.
    shared = tables & ours
    return Comparison(_within(declared, shared), _within(live, shared))


def _build(session: Session) -> None:
    for schema in SCHEMAS:
        name = sql.Identifier(f"{PREFIX}{schema}")
        session.driver.execute(sql.SQL(_SQL["create_schema"]).format(schema=name))
    for enum, labels in declared_enums().items():
        prerequisites.create_enum(session.driver, f"{PREFIX}{ENUM_SCHEMA}", enum, labels)
    build_metadata(PREFIX).create_all(session.alchemy, checkfirst=False)
    routines.install(session.driver, PREFIX)


def _within(definitions: Definitions, tables: set[str]) -> Definitions:
    return {
        key: definition
        for key, definition in definitions.items()
        if key.kind is not DifferenceKind.TABLE and (not key.table or key.table in tables)
    }


def _print(conn: Connection, prefix: str) -> Definitions:
    """Everything in the schemas, with the prefix taken out of every name."""
    found = {Key(DifferenceKind.TABLE, "", row[0]): Definition("") for row in _rows(conn, "tables", prefix)}
    for query, kind in _PRINTED_BY_TABLE.items():
        for table, name, text, *drop in _rows(conn, query, prefix):
            found[Key(kind, table, name)] = Definition(text, *drop)
    for query, kind in _PRINTED.items():
        for name, text, *drop in _rows(conn, query, prefix):
            found[Key(kind, "", name)] = Definition(text, *drop)
    return found


def _rows(conn: Connection, query: str, prefix: str) -> list[list[str]]:
    rows = conn.execute(_SQL[query], {"schemas": [f"{prefix}{schema}" for schema in SCHEMAS]})
    return [[str(cell).replace(prefix, "") if prefix else str(cell) for cell in row] for row in rows]
