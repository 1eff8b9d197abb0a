"""How a process reaches PostgreSQL: one pool, one place that translates the driver's errors."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from config import DatabaseSettings
from core.errors import DatabaseUnavailable
from infrastructure.postgres.login import TokenLogin, connection_class, conninfo

Connection = psycopg.Connection[TupleRow]
Pool = ConnectionPool[Connection]

_SET_ALL = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS given (name, value)"
#: Seconds that who asks now waits for a connection; None is as long as the settings say.
_patience: ContextVar[float | None] = ContextVar("patience", default=None)
_TOKEN_LOGIN_SECONDS = 1500.0  #: a connection that came with a token is replaced well before any token expires


def open_pool(settings: DatabaseSettings, *, application: str, login: str | TokenLogin | None = None) -> Pool:
    """A pool that opens connections when they are first needed. Connections run in autocommit.

    `login` is that of the settings unless given.
    """
    login = login or conninfo(settings)
    return ConnectionPool(
        login,
        connection_class=connection_class(login),
        kwargs={"autocommit": True, "connect_timeout": settings.connect_timeout, "application_name": application},
        min_size=settings.pool_min,
        max_size=settings.pool_max,
        timeout=settings.connect_timeout,
        max_lifetime=_TOKEN_LOGIN_SECONDS if isinstance(login, TokenLogin) else 3600.0,
        configure=_bounded(settings.idle_transaction),
        check=_alive,
        open=True,
        name=application,
    )


def _bounded(idle_transaction: int) -> Callable[[Connection], None]:
    """Have the server end a session whose client froze, or vanished without a word, in the middle of a transaction.

    Its row locks would stand for hours, and whoever asks for one of those rows would wait as long.
    """
    bounds = {
        "idle_in_transaction_session_timeout": f"{idle_transaction}s",
        "tcp_keepalives_idle": str(idle_transaction),
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }

    def configure(conn: Connection) -> None:
        # Statements, not startup options: a pooler in between refuses those, and a DATABASE_URL may have its own.
        conn.execute(_SET_ALL, (list(bounds), list(bounds.values())))

    return configure


def _alive(conn: Connection) -> None:
    """Raise when the server hung up. It said so on the socket: asking it would cost every statement a round trip."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    if poll.poll(0):
        ConnectionPool.check_connection(conn)


_HINT = "Try again later. An operator checks the server, and DATABASE_URL or POSTGIS_*."
#: The server is away, or ended this session; the driver files the last one elsewhere.
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, psycopg.errors.IdleInTransactionSessionTimeout)
_TOO_LARGE = "54"  #: PostgreSQL's class of exceeded limits: the driver counts it among outages, but it never passes


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's connection errors into DatabaseUnavailable; leave the others, which are defects."""
    try:
        yield
    except _AWAY as e:
        if (getattr(e, "sqlstate", None) or "").startswith(_TOO_LARGE):
            raise
        reason = str(e).strip().partition("\n")[0] or type(e).__name__
        raise DatabaseUnavailable(f"PostgreSQL did not answer: {reason}", hint=_HINT) from e


@contextmanager
def hurried(seconds: float) -> Iterator[None]:
    """Wait no longer than this for connections, inside: probes must tell of an outage, not sit it out."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


@contextmanager
def connection(pool: Pool) -> Iterator[Connection]:
    """A pooled connection in autocommit, with errors translated."""
    with translated(), pool.connection(_patience.get()) as conn:
        yield conn


@contextmanager
def transaction(pool: Pool) -> Iterator[Connection]:
    """A pooled connection inside one transaction, with errors translated."""
    with translated(), pool.connection(_patience.get()) as conn, conn.transaction():
        yield conn
