"""Who acts? What a credential said of the caller, and where the call came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.models.access import Role


class PrincipalKind(StrEnum):
    """What stands behind a credential."""

    PERSON = "person"  #: one human being, who may not act in another's name
    SERVICE = "service"  #: a program, which may say for whom it acts
    SYSTEM = "system"  #: Geomachine itself: timers and policies


@dataclass(frozen=True)
class Principal:
    """A caller whose credential was checked.

    `name` says who it is, `client_id` whose requests, jobs and drafts it works on: every key of a partner has the same,
    a person has one of his own. `credential` names what was shown, never its secret.
    """

    name: str
    roles: frozenset[Role]
    client_id: str
    kind: PrincipalKind = PrincipalKind.SERVICE
    credential: str = "none"
    address: str | None = None
    request_id: str | None = None
    limited: bool = False  #: counted against the rate limit; the operator's own key is not

    def may(self, *roles: Role) -> bool:
        """True for an admin and for any of the roles."""
        return Role.ADMIN in self.roles or bool(self.roles & set(roles))

    @property
    def sees_everything(self) -> bool:
        """True for reviewers and admins; a partner sees what is his."""
        return self.may(Role.REVIEWER)

    @property
    def sees_only(self) -> str | None:
        """The client whose things are all that he sees; None for whoever sees everything."""
        return None if self.sees_everything else self.client_id

    def may_see(self, client_id: str | None) -> bool:
        """True for things of that client."""
        return self.sees_only in (None, client_id)


#: What timers and policies do, they do as this.
SYSTEM = Principal("system", frozenset(), "system", PrincipalKind.SYSTEM, "system")
