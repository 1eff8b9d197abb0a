"""Who does Azure's Easy Auth say is calling? Only to be asked where the platform strips that header from strangers."""

from __future__ import annotations

import base64
import binascii
import json

from core.contracts.principals import Principal, PrincipalKind
from core.errors import Unauthenticated
from infrastructure.auth.app_roles import roles_of
from infrastructure.auth.kinds import PERSONAL, kind_of

HEADER = "x-ms-client-principal"
_OBJECT = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_TENANT = ("http://schemas.microsoft.com/identity/claims/tenantid", "tid")
_URI = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_NAMES = (*PERSONAL, *(f"{_URI}{claim}" for claim in ("upn", "emailaddress", "name")))
_SUBJECT = (f"{_URI}nameidentifier", "sub")
_SCOPE = ("http://schemas.microsoft.com/identity/claims/scope", "scp")
_APPLICATION = ("azp", "appid")


def identify(header: str, tenant: str) -> Principal:
    """The caller in the header. Raises Unauthenticated for one that cannot be read or is of another tenant."""
    claims, role_type = _claims(header)

    def first(*types: str) -> str | None:
        return next((value for wanted in types for typ, value in claims if typ == wanted), None)

    if first(*_TENANT) != tenant:
        raise Unauthenticated("The caller comes from another tenant.")
    roles = roles_of([value for typ, value in claims if typ in (role_type, "roles")])
    person, application = first(*_OBJECT), first(*_APPLICATION)
    found = first(*_NAMES)
    kind = kind_of(idtyp=first("idtyp"), scopes=first(*_SCOPE), names=found, oid=person, sub=first(*_SUBJECT))
    client_id = person if kind is PrincipalKind.PERSON else application
    if not client_id:
        raise Unauthenticated("The platform does not say who is calling.")
    name = found or client_id if kind is PrincipalKind.PERSON else client_id
    return Principal(name, roles, client_id, kind, credential="easy auth", limited=True)


def _claims(header: str) -> tuple[list[tuple[str, str]], str]:
    try:
        body = json.loads(base64.b64decode(header, validate=True))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in body["claims"]]
        return claims, str(body.get("role_typ") or "roles")
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unauthenticated("The platform's word on the caller cannot be read.") from None
