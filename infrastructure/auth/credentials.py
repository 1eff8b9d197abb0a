"""Which credential did a request bring, and who is behind it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from config import AuthSettings
from core.contracts.principals import Principal
from core.errors import Unauthenticated
from infrastructure.auth import easy_auth
from infrastructure.auth.keys import KeyRing

if TYPE_CHECKING:
    from infrastructure.auth.entra import EntraTokens

_KEY, _AUTHORIZATION = "x-api-key", "authorization"


class Credentials:
    """API key, then bearer token, then Easy Auth: the first that is there decides, and a wrong one is refused."""

    def __init__(self, settings: AuthSettings, keys: KeyRing) -> None:
        # Without the platform before us anybody could have written that header.
        self._easy_auth = settings.tenant if settings.easy_auth else None
        self.keys = keys
        self._tokens = _tokens(settings) if settings.tenant else None

    def identify(self, headers: Mapping[str, str]) -> Principal | None:
        """The caller, or None for the public. Raises Unauthenticated or IdentityUnavailable."""
        if key := headers.get(_KEY):
            return self.keys.identify(key)
        if authorization := headers.get(_AUTHORIZATION):
            return self._bearer(authorization)
        if self._easy_auth and (header := headers.get(easy_auth.HEADER)):
            return easy_auth.identify(header, self._easy_auth)
        return None

    def unfamiliar(self, headers: Mapping[str, str]) -> bool:
        """True for an API key that has to be looked up first, having never been seen to work."""
        key = headers.get(_KEY)
        return key is not None and self.keys.unfamiliar(key)

    def _bearer(self, authorization: str) -> Principal:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(
                "The Authorization header is not a bearer token.", hint="Send `Authorization: Bearer ...` or X-API-Key."
            )
        if self._tokens is None:
            raise Unauthenticated("Entra ID tokens are not accepted here.", hint="Send an API key as X-API-Key.")
        return self._tokens.identify(token.strip())


def _tokens(settings: AuthSettings) -> EntraTokens:
    # Only who uses Entra ID pays for loading the cryptography.
    from infrastructure.auth.entra import EntraTokens
    from infrastructure.auth.signing_keys import SigningKeys

    return EntraTokens(settings, SigningKeys(settings.keys_url))
