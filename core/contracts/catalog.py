"""The catalogue as handlers may read it. They never write it: that is what effects are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.contracts.effects import StacJson
from core.contracts.plans import Collision
from core.errors import NotFound


@dataclass(frozen=True)
class CatalogMember:
    """A raster item: where it is (degrees; west > east across the antimeridian), its COG, the COG's width in pixels."""

    item_id: str
    bbox: tuple[float, float, float, float]
    href: str
    width: int | None = None


@dataclass(frozen=True)
class CatalogedRaster:
    """What there is of a raster: its row, its item, the hrefs of its files, and what hangs on them."""

    cog_id: str | None
    item: bool
    approved: bool
    hrefs: Sequence[str]
    renders: int
    dataset_refs: int
    other_items: int


class Catalog(Protocol):
    """Collections and items as they are now; another transaction may change them the next moment."""

    def collection(self, collection_id: str) -> StacJson | None:
        """A collection's document."""
        ...

    def members(self, collection_id: str) -> Sequence[CatalogMember]:
        """The collection's items that have a COG."""
        ...

    def raster(self, collection_id: str, item_id: str) -> CatalogedRaster | None:
        """What there is of a raster."""
        ...

    def cataloged(self, container: str, paths: Sequence[str]) -> Mapping[str, str]:
        """Those of the files that are COGs of the catalogue, with their items as `collection/item`."""
        ...

    def collisions(
        self, tables: Sequence[str], items: Sequence[tuple[str, str]], client_id: str
    ) -> Sequence[Collision]:
        """Which of these tables (in schema geo) and STAC items (collection, item) there are.

        One that is known to show another client's dataset, or nobody's, blocks.
        """
        ...

    def mosaic_id(self, collection_id: str) -> str:
        """The id of the search for the collection's published items."""
        ...


def missing_collection(collection_id: str) -> NotFound:
    """What whoever wants to extend a collection that is not there is told."""
    return NotFound(
        f"There is no collection {collection_id!r} to add to.",
        hint="Check its name, or submit without collection_must_exist to create it.",
    )
