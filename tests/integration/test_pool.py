"""What becomes of a pool whose password is a token?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from config import DatabaseSettings
from core.errors import DatabaseUnavailable
from infrastructure.postgres.login import TokenLogin
from infrastructure.postgres.pool import connection, open_pool, transaction
from infrastructure.postgres.wakeups import Wakeups


class Directory:
    """Issues passwords for a role, as Entra ID issues tokens, and like its client keeps the last one."""

    def __init__(self, admin: psycopg.Connection, role: str) -> None:
        self._admin = admin
        self.role = role
        self._issued = self._kept = ""
        self.forgotten = 0
        self.rotate()

    def rotate(self) -> None:
        """The server accepts only a new password from now on."""
        self._issued = secrets.token_hex()
        statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
        self._admin.execute(statement.format(sql.Identifier(self.role), sql.Literal(self._issued)))

    def hang_up(self) -> None:
        """End every session of the role."""
        self._admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = %s", [self.role]
        )

    def current(self) -> str:
        self._kept = self._kept or self._issued
        return self._kept

    def forget(self) -> None:
        self._kept = ""
        self.forgotten += 1


@pytest.fixture
def directory(db: str) -> Iterator[Directory]:
    role = f"rotating_{secrets.token_hex(4)}"
    with psycopg.connect(db, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        yield Directory(admin, role)
        admin.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))


@pytest.fixture
def login(db: str, directory: Directory) -> TokenLogin:
    parts = {name: str(value) for name, value in conninfo_to_dict(db).items() if name in ("host", "port", "dbname")}
    return TokenLogin(directory, **parts, user=directory.role)


def settings() -> DatabaseSettings:
    return DatabaseSettings(DOCKER_DB_POOL_MIN=1, DOCKER_DB_POOL_MAX=1)


def test_a_pool_goes_on_after_its_password_was_rotated_and_its_sessions_ended(
    directory: Directory, login: TokenLogin
) -> None:
    with open_pool(settings(), application="test", login=login) as pool:
        for _ in range(3):
            with connection(pool) as conn:
                assert conn.execute("SELECT current_user").fetchone() == (directory.role,)
            directory.rotate()
            directory.hang_up()
    assert directory.forgotten >= 2


def test_a_session_that_lives_on_outlasts_the_rotation(directory: Directory, login: TokenLogin) -> None:
    with open_pool(settings(), application="test", login=login) as pool:
        with connection(pool) as conn:
            first = conn.info.backend_pid
        directory.rotate()
        with connection(pool) as conn:
            assert conn.info.backend_pid == first
    assert directory.forgotten == 0


def test_a_listener_goes_on_after_its_password_was_rotated(directory: Directory, login: TokenLogin) -> None:
    wakeups = Wakeups(login)
    assert wakeups.wait(0) is True
    directory.rotate()
    directory.hang_up()
    for _ in range(2):  # the session that has ended, then the token that is refused
        with pytest.raises(DatabaseUnavailable):
            wakeups.wait(5)
    assert wakeups.wait(5) is True
    wakeups.close()


def test_a_session_the_server_ended_is_replaced_before_it_is_used(db: str) -> None:
    with open_pool(DatabaseSettings(DATABASE_URL=db, DOCKER_DB_POOL_MAX=1), application="ended") as pool:
        with connection(pool) as conn:
            first = conn.info.backend_pid
        with psycopg.connect(db, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
        with connection(pool) as conn:
            assert conn.execute("SELECT pg_backend_pid()").fetchone() != (first,)


def test_a_process_that_freezes_in_a_transaction_does_not_hold_its_rows_for_ever(db: str) -> None:
    settings = DatabaseSettings(url=SecretStr(db), idle_transaction=1)
    with open_pool(settings, application="frozen") as frozen, psycopg.connect(db, autocommit=True) as other:
        other.execute("CREATE TABLE held (id int); INSERT INTO held VALUES (1)")
        with pytest.raises(DatabaseUnavailable), transaction(frozen) as conn:
            conn.execute("SELECT * FROM held FOR UPDATE")
            other.execute("SET statement_timeout = '30s'")  # what would end the wait if the server did not
            assert other.execute("SELECT id FROM held FOR UPDATE").fetchall() == [(1,)]
            conn.execute("SELECT 1")
