"""Whose Entra ID token is this? Signature, issuer, audience, tenant, times and app roles are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import jwt

from config import AuthSettings
from core.contracts.principals import Principal, PrincipalKind
from core.errors import Unauthenticated
from core.models.access import Role
from infrastructure.auth.app_roles import roles_of
from infrastructure.auth.kinds import PERSONAL, kind_of
from infrastructure.auth.signing_keys import SigningKeys

#: Entra ID signs with nothing else. A token's own header is never asked which to use.
_ALGORITHMS = ["RS256"]
_LONGEST = 16_384
_WRONG: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is meant for another application.",
    jwt.InvalidIssuerError: "The token comes from another issuer.",
    jwt.InvalidSignatureError: "The token's signature is wrong.",
    jwt.InvalidAlgorithmError: "The token is signed by another algorithm than RS256.",
    jwt.MissingRequiredClaimError: "The token lacks a claim.",
}


class EntraTokens:
    """Checks tokens of one tenant for one application."""

    def __init__(self, settings: AuthSettings, keys: SigningKeys) -> None:
        self._settings = settings
        self._keys = keys

    def identify(self, token: str) -> Principal:
        """The person or application that the token was issued to. Raises Unauthenticated or IdentityUnavailable."""
        claims = self._claims(token)
        tenant = self._settings.tenant
        if claims.get("tid") != tenant:
            raise _refused("The token comes from another tenant.")
        roles = roles_of(claims.get("roles"))
        oid, sub = claims.get("oid"), claims.get("sub")
        name = next((claims[claim] for claim in PERSONAL if claim in claims), None)
        kind = kind_of(idtyp=claims.get("idtyp"), scopes=claims.get("scp"), names=name, oid=oid, sub=sub)
        if kind is PrincipalKind.PERSON:
            return _principal(name, roles, oid or sub, kind)
        application = claims.get("azp") or claims.get("appid") or oid
        return _principal(claims.get("app_displayname") or application, roles, application, kind)

    def _claims(self, token: str) -> Mapping[str, object]:
        if len(token) > _LONGEST:
            raise _refused("The token is too long.")
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.find(str(header.get("kid", "")))
            if key is None:
                raise _refused("The token is signed by a key that its issuer does not publish.")
            return cast(
                "Mapping[str, object]",
                jwt.decode(
                    token,
                    key,
                    algorithms=_ALGORITHMS,
                    audience=list(self._settings.audiences),
                    issuer=list(self._settings.issuers),
                    leeway=self._settings.clock_skew,
                    options={"require": ["exp", "iss", "aud"]},
                ),
            )
        except jwt.PyJWTError as e:
            # What a library says of a token may quote it.
            raise _refused(_WRONG.get(type(e), "The token cannot be read.")) from None


def _principal(name: object, roles: frozenset[Role], client_id: object, kind: PrincipalKind) -> Principal:
    if not isinstance(client_id, str) or not client_id:
        raise _refused("The token does not say whom it was issued to.")
    return Principal(str(name or client_id), roles, client_id, kind, credential="entra", limited=True)


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(why, hint="Get a new token for this application from Entra ID.")
