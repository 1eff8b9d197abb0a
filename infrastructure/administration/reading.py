"""How an administrator looks at the database: in a transaction that can change nothing and does not last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import LiteralString, TypeVar

from psycopg import sql
from psycopg.rows import class_row

from infrastructure.postgres.pool import Connection, Pool, transaction
from infrastructure.postgres.queries import Queries

T = TypeVar("T")
_SQL = Queries("admin_tables")


@contextmanager
def reading(pool: Pool) -> Iterator[Connection]:
    """A transaction that PostgreSQL itself keeps from writing, and ends after 15 seconds with DatabaseUnavailable."""
    with transaction(pool) as conn:
        conn.execute(_SQL["read_only"])
        yield conn


def rows(
    conn: Connection, kind: type[T], query: LiteralString | sql.Composed, values: Mapping[str, object] | None = None
) -> list[T]:
    """The answer as objects whose fields are named like its columns."""
    with conn.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()
