"""How does a connection log in? With a password for ever, or with a token that expires and may be refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

import psycopg
from psycopg.rows import TupleRow

from config import DatabaseSettings
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


class Tokens(Protocol):
    """A password for each new connection."""

    def current(self) -> str:
        """The password to use now; cheap while it is valid."""
        ...

    def forget(self) -> None:
        """The server refused it: fetch another before the next attempt."""
        ...


class EntraTokens:
    """Access tokens of a managed identity. The credential keeps one and fetches the next shortly before it expires."""

    def __init__(self, client_id: str | None) -> None:
        self._client_id = client_id
        self._lock = threading.Lock()
        self._credential: DefaultAzureCredential | None = None

    def current(self) -> str:
        """The kept token while it is valid."""
        with self._lock:
            if self._credential is None:
                from azure.identity import DefaultAzureCredential

                self._credential = DefaultAzureCredential(managed_identity_client_id=self._client_id)
            token: str = self._credential.get_token(_SCOPE).token
            return token

    def forget(self) -> None:
        """Drop the credential, and with it the token it keeps."""
        with self._lock:
            self._credential = None


class TokenLogin:
    """What libpq needs, made anew for each connection."""

    def __init__(self, tokens: Tokens, **parts: str) -> None:
        self.tokens = tokens
        self._parts = parts

    def __call__(self) -> str:
        """With the token of this moment."""
        return psycopg.conninfo.make_conninfo(**self._parts, password=self.tokens.current())


def conninfo(settings: DatabaseSettings) -> str | TokenLogin:
    """What libpq needs; a callable where the password is a token that expires."""
    if settings.url is not None:
        return _readable(settings.url.get_secret_value())
    if settings.host is None or settings.name is None or settings.user is None:
        raise ConfigurationError("No database is configured.", hint="Set DATABASE_URL or POSTGIS_HOST.")
    parts = {"host": settings.host, "port": str(settings.port), "dbname": settings.name, "user": settings.user}
    if settings.managed_identity:
        return TokenLogin(EntraTokens(settings.managed_identity_client_id), **parts, sslmode="require")
    assert settings.password is not None  # DatabaseSettings refuses a host without a credential
    return psycopg.conninfo.make_conninfo(**parts, password=settings.password.get_secret_value())


def conninfo_now(settings: DatabaseSettings) -> str:
    """The same for who connects at once: a token is that of this moment."""
    login = conninfo(settings)
    return login if isinstance(login, str) else login()


def _readable(url: str) -> str:
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its words repeat the URL, with the password
        raise ConfigurationError(
            "DATABASE_URL is not an address of a database.",
            hint="Write postgresql://user:password@host:5432/name, with special characters percent-encoded.",
        ) from None
    return url


def connection_class(login: object) -> type[psycopg.Connection[TupleRow]]:
    """Connections that have a token forgotten which the server refuses, so that the next attempt brings another."""
    if not isinstance(login, TokenLogin):
        return psycopg.Connection[TupleRow]
    tokens = login.tokens

    class TokenConnection(psycopg.Connection[TupleRow]):
        @classmethod
        def connect(cls, conninfo: str = "", **options: object) -> psycopg.Connection[TupleRow]:  # type: ignore[override]
            try:
                return super().connect(conninfo, **options)  # type: ignore[arg-type]
            except psycopg.OperationalError as e:
                if e.pgconn is not None and e.pgconn.used_password:  # the server got as far as asking for it
                    tokens.forget()
                raise

    return TokenConnection
