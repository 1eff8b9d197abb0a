"""Who is calling, and may he? Routes are closed unless they say otherwise."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader

from core.contracts.principals import Principal
from core.errors import Forbidden, Unauthenticated
from core.models.access import Role


class KeyRing:
    """API keys, kept as SHA-256 only."""

    def __init__(self, keys: Mapping[str, Principal]) -> None:
        self._keys = {hashlib.sha256(key.encode()).digest(): principal for key, principal in keys.items()}

    def identify(self, key: str | None) -> Principal | None:
        """The owner of the key, None without one. Raises Unauthenticated for a wrong one."""
        if not key:
            return None
        given = hashlib.sha256(key.encode()).digest()
        found = [owner for digest, owner in self._keys.items() if hmac.compare_digest(digest, given)]
        if not found:
            raise Unauthenticated("The API key is not valid.", hint="`./geomachine key` prints the local admin key.")
        return found[0]


_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The API key of a partner, reviewer or admin.")


def principal(request: Request, key: Annotated[str | None, Depends(_header)]) -> Principal | None:
    """The caller, or None for the public."""
    ring: KeyRing = request.app.state.get_runtime().keys
    found = ring.identify(key)
    return found and replace(
        found,
        address=request.client.host if request.client else None,
        request_id=getattr(request.state, "request_id", None),
    )


def require(*roles: Role) -> Callable[[Principal | None], Principal]:
    """A dependency that lets admins and the given roles in."""

    def check(caller: Annotated[Principal | None, Depends(principal)]) -> Principal:
        if caller is None:
            raise Unauthenticated("This needs an API key.", hint="Send it in the X-API-Key header.")
        if not caller.may(*roles):
            needed = " or ".join(roles) or "admin"
            raise Forbidden(f"{caller.name} may not do this.", hint=f"It takes the role {needed}.")
        return caller

    return check
