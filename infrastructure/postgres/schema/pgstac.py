"""Which pgSTAC a database has, and how it gets the one this program was made for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from core.errors import ConfigurationError
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("schema")
_LOCK = 0x67656F70  #: any number, the same for all databases of a cluster
_ATTEMPTS = 5
_TIMEOUT_SECONDS = 600
_MIGRATION = Path(__file__).with_name("migrate_pgstac.py")


def wanted() -> str:
    """The version that the installed pypgstac brings, which is the one its loader and our queries expect."""
    return version("pypgstac")


def installed(conn: Connection) -> str | None:
    """The version in the database, or None."""
    found = conn.execute(_SQL["pgstac_installed"]).fetchone()
    if found is None or not found[0]:
        return None
    row = conn.execute(_SQL["pgstac_version"]).fetchone()
    return None if row is None else str(row[0])


def older(version: str | None) -> bool:
    """Whether it is to be migrated; not when it is newer than wanted: nothing migrates downwards."""
    if version is None:
        return True
    try:
        return [int(part) for part in version.split(".")] < [int(part) for part in wanted().split(".")]
    except ValueError:
        return False


def migrate(conninfo: str) -> None:
    """Bring pgSTAC to the wanted version. Raises ConfigurationError with what pypgstac said when it cannot."""
    with _alone_in_cluster(conninfo):
        for attempt in range(1, _ATTEMPTS + 1):
            done = subprocess.run(  # noqa: S603  # our own interpreter and file
                [sys.executable, "-P", str(_MIGRATION)],
                input=conninfo,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
            if done.returncode == 0:
                return
            # Two migrations in one cluster collide on the grants of the roles they share; the loser may try again.
            if "tuple concurrently updated" not in done.stderr or attempt == _ATTEMPTS:
                raise ConfigurationError(
                    f"pgSTAC {wanted()} could not be installed: {_reason(done.stderr)}",
                    hint="The role needs to own the database and be allowed to create roles.",
                )
            time.sleep(attempt)


def _reason(said: str) -> str:
    """What PostgreSQL refused; its lines about where come after it."""
    lines = said.strip().splitlines() or ["?"]
    return next((line.partition(": ")[2] for line in lines if line.startswith("psycopg")), lines[-1])


@contextmanager
def _alone_in_cluster(conninfo: str) -> Iterator[None]:
    """Hold a lock that all databases of the cluster share; without it where the `postgres` database is closed to us."""
    try:
        conn = psycopg.connect(make_conninfo(conninfo, dbname="postgres"), autocommit=True)
    except psycopg.OperationalError:
        yield
        return
    with conn:
        conn.execute(_SQL["lock"], {"key": _LOCK})
        yield
