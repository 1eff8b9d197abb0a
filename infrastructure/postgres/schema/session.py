"""One connection seen by SQLAlchemy and psycopg at once, for the schema commands only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from core.errors import ConfigurationError
from infrastructure.postgres.pool import Connection, translated

_APPLICATION = "geomachine-schema"


@dataclass(frozen=True)
class Session:
    """A transaction in progress: `alchemy` for generated DDL, `driver` for everything else. Rolled back at the end."""

    alchemy: sa.Connection
    driver: Connection

    def commit(self) -> None:
        """Keep what was done; a new transaction begins."""
        self.alchemy.commit()
        self.driver.commit()  # SQLAlchemy commits only what went through it

    def rollback(self) -> None:
        """Forget what was done; a new transaction begins."""
        self.alchemy.rollback()
        self.driver.rollback()


@contextmanager
def autocommit(conninfo: str) -> Iterator[Connection]:
    """A connection on which every statement is a transaction."""
    with _translated(), psycopg.connect(conninfo, autocommit=True, application_name=_APPLICATION) as conn:
        yield conn


@contextmanager
def session(conninfo: str) -> Iterator[Session]:
    """A connection with a transaction."""
    with _translated(), psycopg.connect(conninfo, application_name=_APPLICATION) as driver:
        engine = sa.create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=StaticPool)
        with engine.connect() as alchemy:
            yield Session(alchemy, driver)


@contextmanager
def _translated() -> Iterator[None]:
    """What the pool translates, and besides it what only the schema commands meet."""
    with translated():
        try:
            with _unwrapped():
                yield
        except psycopg.errors.InsufficientPrivilege as e:
            raise ConfigurationError(
                f"The database refused a schema command: {first_line(e)}",
                hint="Let a role that owns the database run it, or ask its owner for the extension.",
            ) from e


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Let SQLAlchemy's errors be the driver's."""
    try:
        yield
    except DBAPIError as e:
        raise e.orig or e from e


def first_line(error: BaseException) -> str:
    """What an error says, without its context."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
