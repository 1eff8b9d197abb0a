"""What deleting a job takes with it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StacItemName(BaseModel):
    """A STAC item. `published` ones are what the public sees now."""

    model_config = ConfigDict(frozen=True)

    collection_id: str
    item_id: str
    published: bool


class Artifacts(BaseModel):
    """What the catalogue says a job made and nobody else has replaced: items, tables, files as `container/path`."""

    model_config = ConfigDict(frozen=True)

    items: tuple[StacItemName, ...] = ()
    tables: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()

    @property
    def published(self) -> list[str]:
        """The items that the public would miss."""
        return [f"{i.collection_id}/{i.item_id}" for i in self.items if i.published]


class Rows(BaseModel):
    """How many rows speak of a job. `reviews` are undecided ones; decided reviews stay."""

    model_config = ConfigDict(frozen=True)

    runs: int = 0
    tasks: int = 0
    requests: int = 0
    reviews: int = 0
