"""Who is calling, and may he? Routes are closed unless they say otherwise."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from core.contracts.principals import Principal
from core.errors import Forbidden, Unauthenticated
from core.models.access import Role
from triggers.http.gate import Gate

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The API key of a partner, reviewer or admin.")
_bearer = HTTPBearer(
    scheme_name="EntraID", bearerFormat="JWT", auto_error=False, description="A token of Entra ID with an app role."
)


def principal(
    request: Request, _key: Annotated[object, Depends(_header)], _token: Annotated[object, Depends(_bearer)]
) -> Principal | None:
    """The caller, or None for the public. The two parameters put the schemes into the API description."""
    gate: Gate = request.app.state.get_runtime().gate
    return gate.admit(request)


class Requires:
    """A dependency that lets admins and the given roles in. `roles` is what tests and the API description read."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    def __call__(self, caller: Annotated[Principal | None, Depends(principal)]) -> Principal:
        """The caller. Raises Unauthenticated or Forbidden."""
        if caller is None:
            raise Unauthenticated(
                "This needs a credential.", hint="Send an API key as X-API-Key, or an Entra ID token as bearer token."
            )
        if not caller.may(*self.roles):
            needed = " or ".join(self.roles) or "admin"
            raise Forbidden(f"{caller.name} may not do this.", hint=f"It takes the role {needed}.")
        return caller


class Anyone:
    """A dependency that marks a route as open to the public, within the rate limit of its address."""

    def __call__(self, caller: Annotated[Principal | None, Depends(principal)]) -> Principal | None:
        """The caller, if he said who he is."""
        return caller


def require(*roles: Role) -> Requires:
    """A dependency that lets admins and the given roles in."""
    return Requires(*roles)
