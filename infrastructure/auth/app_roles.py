"""Which of our roles do an identity provider's role values name?"""

from __future__ import annotations

from core.models.access import Role


def roles_of(given: object) -> frozenset[Role]:
    """The roles among app role values; `Geomachine.Admin` and `admin` mean the same, others mean nothing here."""
    values = given if isinstance(given, list) else [given]
    words = {str(value).rpartition(".")[2].lower() for value in values}
    return frozenset(role for role in Role if role.value in words)
