"""Databases of others that may be prepared, and how to log in. Credentials go to libpq and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from config import ExternalDatabaseSettings
from core.errors import Forbidden
from infrastructure.postgres.login import EntraTokens


@dataclass(frozen=True)
class Target:
    """A database on somebody's server, and the managed identity that administers it."""

    host: str
    database: str
    client_id: str
    user: str | None = None


def refuse_strangers(target: Target, settings: ExternalDatabaseSettings) -> None:
    """Raise Forbidden for a host that no setting names."""
    host = target.host.lower()
    for allowed in settings.hosts:
        if host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:])):
            return
    raise Forbidden(
        f"{target.host} is not among the servers that may be prepared.",
        hint="An operator names it in EXTERNAL_DB_ALLOWED_HOSTS.",
    )


def login(target: Target, settings: ExternalDatabaseSettings) -> str:
    """What libpq needs, with a password of this moment. Never to be logged."""
    parts = {"host": target.host, "port": str(settings.port), "dbname": target.database, "connect_timeout": "10"}
    parts["sslmode"] = settings.sslmode
    if settings.user is not None:
        password = {"password": settings.password.get_secret_value()} if settings.password else {}
        return make_conninfo(**parts, user=settings.user, **password)
    token = EntraTokens(target.client_id).current()
    return make_conninfo(**parts, user=target.user or target.client_id, password=token)
