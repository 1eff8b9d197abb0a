"""The databases inside a cluster: waited for, made, cloned, dropped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from core.errors import DatabaseUnavailable
from infrastructure.embedded import programs
from infrastructure.postgres.queries import Queries

_SQL = Queries("databases")
_READY_SECONDS = 300


@contextmanager
def session(conninfo: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """One connection in which every statement stands for itself, as creating databases requires."""
    try:
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.OperationalError as e:
        raise DatabaseUnavailable(f"The embedded PostgreSQL did not answer: {e}") from e


def await_ready(conninfo: str, running: Callable[[], bool]) -> None:
    """Return once the server answers; it may be recovering. Raises DatabaseUnavailable when it never does."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with session(conninfo):
                return
        except DatabaseUnavailable as e:
            if not running() or time.monotonic() > deadline or "authentication failed" in e.message:
                raise
        time.sleep(0.1)


def ensure(conninfo: str, name: str) -> None:
    """Create the database unless it exists."""
    with session(conninfo) as connection:
        row = connection.execute(_SQL["exists"], {"name": name}).fetchone()
        if row is None or not row[0]:
            connection.execute(sql.SQL(_SQL["create"]).format(name=sql.Identifier(name)))


def locale() -> str:
    """The locale new clusters get: plain byte order, with the case of all letters known where the system can."""
    known = programs.run(["locale", "-a"]).output.lower().replace("utf8", "utf-8").split()
    return "C.UTF-8" if "c.utf-8" in known else "C"
