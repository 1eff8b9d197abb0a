"""Is a token a person's or a program's? A program may name for whom it acts, so a person must not pass for one."""

from __future__ import annotations

from core.contracts.principals import PrincipalKind

PERSONAL = (
    "preferred_username",
    "upn",
    "unique_name",
    "email",
    "name",
)  #: claims that only people have, best name first


def kind_of(
    *, idtyp: object = None, scopes: object = None, names: object = None, oid: object = None, sub: object = None
) -> PrincipalKind:
    """SERVICE only for what is certainly an application's own token, else PERSON.

    `idtyp` settles it where the tenant sends it. Otherwise an application's token has no scopes and no claims of a
    person, and its `sub` is its `oid`; that of a person, an ID token too, is made up for each application.
    """
    if idtyp is not None:
        return PrincipalKind.SERVICE if idtyp == "app" else PrincipalKind.PERSON
    if scopes is not None or names is not None or sub not in (None, oid):
        return PrincipalKind.PERSON
    return PrincipalKind.SERVICE
