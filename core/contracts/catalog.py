"""The catalogue as handlers may read it. They never write it: that is what effects are for."""

from __future__ import annotations

from typing import Protocol

from core.contracts.effects import StacJson
from core.errors import NotFound


class Catalog(Protocol):
    """Collections and items as they are now; another transaction may change them the next moment."""

    def collection(self, collection_id: str) -> StacJson | None:
        """A collection's document."""
        ...


def missing_collection(collection_id: str) -> NotFound:
    """What whoever wants to extend a collection that is not there is told."""
    return NotFound(
        f"There is no collection {collection_id!r} to add to.",
        hint="Check its name, or submit without collection_must_exist to create it.",
    )
