"""How a process reaches PostgreSQL: one pool, one place that translates the driver's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from config import DatabaseSettings
from core.errors import ConfigurationError, DatabaseUnavailable

Connection = psycopg.Connection[TupleRow]
Pool = ConnectionPool[Connection]

_ENTRA_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


def conninfo(settings: DatabaseSettings) -> str | Callable[[], str]:
    """What libpq needs; a callable where the password is a token that expires."""
    if settings.url is not None:
        return settings.url.get_secret_value()
    if settings.host is None or settings.name is None or settings.user is None:
        raise ConfigurationError("No database is configured.", hint="Set DATABASE_URL or POSTGIS_HOST.")
    parts = {"host": settings.host, "port": str(settings.port), "dbname": settings.name, "user": settings.user}
    if not settings.managed_identity:
        assert settings.password is not None  # DatabaseSettings refuses a host without a credential
        return psycopg.conninfo.make_conninfo(**parts, password=settings.password.get_secret_value())

    from azure.identity import DefaultAzureCredential

    credential = DefaultAzureCredential(managed_identity_client_id=settings.managed_identity_client_id)
    return lambda: psycopg.conninfo.make_conninfo(
        **parts, password=credential.get_token(_ENTRA_SCOPE).token, sslmode="require"
    )


def open_pool(settings: DatabaseSettings, *, application: str) -> Pool:
    """A pool that opens connections when they are first needed. Connections run in autocommit."""
    return ConnectionPool(
        conninfo(settings),
        connection_class=psycopg.Connection[TupleRow],
        kwargs={"autocommit": True, "connect_timeout": settings.connect_timeout, "application_name": application},
        min_size=settings.pool_min,
        max_size=settings.pool_max,
        timeout=settings.connect_timeout,
        check=ConnectionPool.check_connection,
        open=True,
        name=application,
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's connection errors into DatabaseUnavailable; leave the others, which are defects."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as e:
        reason = str(e).strip().partition("\n")[0] or type(e).__name__
        raise DatabaseUnavailable(f"PostgreSQL did not answer: {reason}") from e


@contextmanager
def connection(pool: Pool) -> Iterator[Connection]:
    """A pooled connection in autocommit, with errors translated."""
    with translated(), pool.connection() as conn:
        yield conn


@contextmanager
def transaction(pool: Pool) -> Iterator[Connection]:
    """A pooled connection inside one transaction, with errors translated."""
    with translated(), pool.connection() as conn, conn.transaction():
        yield conn
