"""API keys: made, replaced and withdrawn with an entry in the audit log; found by the id in their text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import dict_row

from core.contracts.principals import Principal
from core.errors import Conflict, NotFound
from core.models.access import ApiKey, Role
from core.models.audit import AuditAction
from infrastructure.auth import key_text
from infrastructure.auth.key_text import KeyText
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("api_keys")


@dataclass(frozen=True)
class NewKey:
    """What a key is to be."""

    client_id: str
    name: str
    roles: Sequence[Role]
    expires_at: datetime | None = None


@dataclass(frozen=True)
class MadeKey:
    """A key and, this once, its text."""

    key: ApiKey
    text: KeyText


class ApiKeys:
    """Keys over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, key_id: str) -> ApiKey | None:
        """The key of that id, revoked or not."""
        with connection(self._pool) as conn:
            return _one(conn, "find", {"key_id": key_id})

    def list(self, *, client_id: str | None, revoked_too: bool, limit: int) -> list[ApiKey]:
        """Keys, newest first."""
        values = {"client_id": client_id, "all": revoked_too, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return [ApiKey.model_validate(row) for row in cursor.execute(_SQL["list"], values)]

    def create(self, wanted: NewKey, by: Principal) -> MadeKey:
        """Make a key."""
        with transaction(self._pool) as conn:
            made = _create(conn, wanted, by, replaces=None)
            told = {"client_id": wanted.client_id, "roles": sorted(wanted.roles)}
            audit.record(conn, by, AuditAction.KEY_CREATE, made.key.key_id, told)  # type: ignore[arg-type]  # strings
            return made

    def rotate(self, key_id: str, grace: timedelta, by: Principal) -> MadeKey:
        """Make a key that replaces another, which works for the time of grace.

        Raises NotFound, or Conflict for one that is withdrawn, expired or replaced: its successor would end with it, or
        there would be two.
        """
        with transaction(self._pool) as conn:
            old = _valid(conn, key_id)
            _refuse_ended(conn, key_id)
            made = _create(conn, NewKey(old.client_id, old.name, old.roles, old.expires_at), by, replaces=key_id)
            if grace:
                conn.execute(_SQL["expire"], {"key_id": key_id, "grace": grace})
            else:
                conn.execute(_SQL["revoke"], {"key_id": key_id, "by": by.name})
            told = {"new_key_id": made.key.key_id, "grace_seconds": int(grace.total_seconds())}
            audit.record(conn, by, AuditAction.KEY_ROTATE, key_id, told)  # type: ignore[arg-type]  # a string, a number
            return made

    def revoke(self, key_id: str, by: Principal) -> ApiKey:
        """Withdraw a key. Raises NotFound, or Conflict for one that is withdrawn."""
        with transaction(self._pool) as conn:
            _valid(conn, key_id)
            revoked = _one(conn, "revoke", {"key_id": key_id, "by": by.name})
            assert revoked is not None  # the row is locked
            audit.record(conn, by, AuditAction.KEY_REVOKE, key_id, {"client_id": revoked.client_id})
            return revoked

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Remember when keys were last used."""
        values = {"key_ids": list(used), "moments": list(used.values())}
        with connection(self._pool) as conn:
            conn.execute(_SQL["touch"], values)


def _create(conn: Connection, wanted: NewKey, by: Principal, *, replaces: str | None) -> MadeKey:
    text = key_text.make()
    values = {
        "key_id": text.key_id,
        "client_id": wanted.client_id,
        "name": wanted.name,
        "roles": json.dumps(sorted(set(wanted.roles))),
        "digest": text.digest,
        "created_by": by.name,
        "expires_at": wanted.expires_at,
        "replaces": replaces,
    }
    key = _one(conn, "create", values)
    assert key is not None  # an insert returns its row
    return MadeKey(key, text)


def _valid(conn: Connection, key_id: str) -> ApiKey:
    key = _one(conn, "lock", {"key_id": key_id})
    if key is None:
        raise NotFound(f"There is no API key {key_id!r}.")
    if key.revoked_at is not None:
        raise Conflict(f"API key {key_id} was revoked already.")
    return key


def _refuse_ended(conn: Connection, key_id: str) -> None:
    row = conn.execute(_SQL["ended"], {"key_id": key_id}).fetchone()
    assert row is not None  # it is locked
    expired, successor = row
    if successor is not None:
        raise Conflict(f"API key {key_id} was replaced by {successor} already.", hint="Rotate or revoke that one.")
    if expired:
        raise Conflict(f"API key {key_id} has expired.", hint="Make a new one.")


def _one(conn: Connection, name: str, values: Mapping[str, object]) -> ApiKey | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL[name], values).fetchone()
    return ApiKey.model_validate(row) if row else None
