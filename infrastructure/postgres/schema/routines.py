"""Functions, triggers and views: the files of `sql/functions` in name order, then the guards of `core.states`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import LiteralString

from psycopg import sql

from core.schema.table import SCHEMAS
from core.states import (
    APPROVAL_TRANSITIONS,
    ARTIFACT_TRANSITIONS,
    JOB_TRANSITIONS,
    STAGE_TRANSITIONS,
    TASK_TRANSITIONS,
    State,
)
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("schema")
_FUNCTIONS = Path(__file__).parent.parent / "sql" / "functions"
_OUR_SCHEMA = re.compile(rf"\b(?={'|'.join(rf'{schema}[.]' for schema in SCHEMAS)})")


def _plain(transitions: Mapping[State, frozenset[State]]) -> dict[str, frozenset[str]]:
    return {before.value: frozenset(after.value for after in successors) for before, successors in transitions.items()}


#: The tables whose `status` is guarded, with the successors of each status.
GUARDED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "jobs": _plain(JOB_TRANSITIONS),
    "stages": _plain(STAGE_TRANSITIONS),
    "tasks": _plain(TASK_TRANSITIONS),
    "dataset_approvals": _plain(APPROVAL_TRANSITIONS),
    "artifacts": _plain(ARTIFACT_TRANSITIONS),
}


def install(conn: Connection, prefix: str = "") -> None:
    """Create or replace everything; with a prefix, in the schemas so named instead."""
    for text in _files():
        conn.execute(_prefixed(text, prefix))
    for table, transitions in GUARDED.items():
        _install_guard(conn, f"{prefix}app", table, transitions)


@cache
def _files() -> tuple[LiteralString, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted(_FUNCTIONS.glob("*.sql")))


def _prefixed(text: LiteralString, prefix: str) -> LiteralString:
    return _OUR_SCHEMA.sub(prefix, text) if prefix else text


def _install_guard(conn: Connection, schema: str, table: str, transitions: Mapping[str, frozenset[str]]) -> None:
    pairs = [
        sql.SQL("({}, {})").format(sql.Literal(before), sql.Literal(after))
        for before, successors in transitions.items()
        for after in sorted(successors)
    ]
    conn.execute(
        sql.SQL(_SQL["state_guard"]).format(
            table=sql.Identifier(schema, table),
            pairs=sql.SQL(", ").join(pairs),
            function=sql.Identifier(schema, "refuse_transition"),
        )
    )
