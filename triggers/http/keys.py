"""`/api/admin/keys`: make, list, replace and withdraw API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from core.errors import InvalidRequest
from core.models.access import ApiKey, Role
from infrastructure.postgres.api_keys import MadeKey, NewKey
from triggers.http.access import TheRuntime
from triggers.http.paging import PLAIN
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/keys", tags=["keys"])
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="The part of the key after `gmk_`.")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=PLAIN)]


class CreateKey(BaseModel):
    """A key for a client. Its name, by default the client's, is what the audit log says."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"client_id": "ddh", "roles": ["partner"], "expires_in_days": 365}]},
    )

    client_id: Name
    name: Name | None = None
    roles: Annotated[list[Role], Field(min_length=1, max_length=3)]
    expires_at: AwareDatetime | None = None
    expires_in_days: Annotated[int | None, Field(ge=1, le=3650)] = None


class RotateKey(BaseModel):
    """How long the old key works on beside the new one."""

    model_config = ConfigDict(extra="forbid")

    grace_hours: Annotated[float, Field(ge=0, le=720)] = 0


class KeyView(BaseModel):
    """A key without its secret, which nobody can read again. `last_used_at` is exact to a minute."""

    key_id: str
    client_id: str
    name: str
    roles: list[Role]
    active: bool
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None
    replaces: str | None


class KeyList(BaseModel):
    """Keys, newest first."""

    count: int
    keys: list[KeyView]


class KeyMade(BaseModel):
    """A new key. `secret_key` is what to send as X-API-Key; it is shown this once."""

    success: bool = True
    key: KeyView
    secret_key: str


class KeyAnswer(BaseModel):
    """A key as it is now."""

    success: bool = True
    key: KeyView


@router.get("")
def listing(
    runtime: TheRuntime,
    _: Admin,
    client_id: Annotated[str | None, Query(max_length=255, pattern=PLAIN)] = None,
    revoked: Annotated[bool, Query(description="Those that were withdrawn, too.")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> KeyList:
    """Keys, newest first."""
    found = [_view(k) for k in runtime.api_keys.list(client_id=client_id, revoked_too=revoked, limit=limit)]
    return KeyList(count=len(found), keys=found)


@router.post("", status_code=201)
def create(runtime: TheRuntime, caller: Admin, body: CreateKey) -> KeyMade:
    """Make a key."""
    expires = body.expires_at
    if body.expires_in_days is not None:
        if expires is not None:
            raise InvalidRequest("expires_at and expires_in_days contradict each other.", hint="Give one of them.")
        expires = datetime.now(UTC) + timedelta(days=body.expires_in_days)
    if expires is not None and expires <= datetime.now(UTC):
        raise InvalidRequest("expires_at lies in the past.")
    return _made(
        runtime.api_keys.create(NewKey(body.client_id, body.name or body.client_id, body.roles, expires), caller)
    )


@router.post("/{key_id}/rotate", status_code=201)
def rotate(key_id: KeyId, runtime: TheRuntime, caller: Admin, body: RotateKey | None = None) -> KeyMade:
    """Make a key that replaces another, for the same client and roles.

    409 for one that is withdrawn, has expired or was replaced before.
    """
    made = runtime.api_keys.rotate(key_id, timedelta(hours=(body or RotateKey()).grace_hours), caller)
    runtime.key_ring.forget(key_id)
    return _made(made)


@router.delete("/{key_id}")
def revoke(key_id: KeyId, runtime: TheRuntime, caller: Admin) -> KeyAnswer:
    """Withdraw a key. Other processes stop honouring it within five seconds. 409 when it was withdrawn before."""
    revoked = runtime.api_keys.revoke(key_id, caller)
    runtime.key_ring.forget(key_id)
    return KeyAnswer(key=_view(revoked))


def _made(made: MadeKey) -> KeyMade:
    return KeyMade(key=_view(made.key), secret_key=str(made.text))


def _view(key: ApiKey) -> KeyView:
    active = key.revoked_at is None and (key.expires_at is None or key.expires_at > datetime.now(UTC))
    return KeyView(active=active, **key.model_dump(exclude={"digest"}))
