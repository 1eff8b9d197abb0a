"""Brings a database to what the models declare: by adding, or from nothing."""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from core.schema.table import SCHEMAS
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.schema import prerequisites
from infrastructure.postgres.schema.analyzer import drift, table_differences
from infrastructure.postgres.schema.differences import EnsureReport
from infrastructure.postgres.schema.mend import mend_definitions, mend_tables
from infrastructure.postgres.schema.session import autocommit, session

_SQL = Queries("schema")
_LOCK = 0x67656F73  #: any number; pgstac.py has another


def ensure(conninfo: str) -> EnsureReport:
    """Create what is missing and replace functions and triggers that differ; never drop or change what holds data.

    Safe to call at any time and from several processes at once: they take turns. The second call changes nothing.
    """
    with autocommit(conninfo) as conn:
        conn.execute(_SQL["lock"], {"key": _LOCK})
        return _ensure(conn, conninfo)


def rebuild(conninfo: str, agreed: Callable[[], None] = lambda: None) -> EnsureReport:
    """Drop every schema of ours and pgSTAC's with all they hold, and ensure.

    `agreed` is called when nobody else is at it any more, and raises where this is no longer wanted.
    """
    with autocommit(conninfo) as conn:
        conn.execute(_SQL["lock"], {"key": _LOCK})
        agreed()
        for schema in (*SCHEMAS, "pgstac"):
            conn.execute(sql.SQL(_SQL["drop_schema"]).format(schema=sql.Identifier(schema)))
        return _ensure(conn, conninfo)


def _ensure(conn: Connection, conninfo: str) -> EnsureReport:
    before = prerequisites.differences(conn)
    if before:
        prerequisites.install(conn, conninfo)
    with session(conninfo) as open_session:
        before += table_differences(open_session)
    if not before:
        return EnsureReport((), (), ())
    with session(conninfo) as open_session:
        refused = mend_tables(open_session)
        open_session.commit()
    with session(conninfo) as open_session:
        refused += mend_definitions(open_session)
        open_session.commit()
    remaining = drift(conninfo)
    return EnsureReport(tuple(sorted(set(before) - set(remaining))), tuple(refused), remaining)
