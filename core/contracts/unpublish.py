"""Taking datasets back: what partners send to `/api/platform/unpublish`, and what the jobs behind it share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from core.contracts.platform import Identifier, Operation, Spelled, VersionIdentifier
from core.contracts.tasks import Contract
from core.models.platform import DataType

Name = Annotated[str, StringConstraints(min_length=1, max_length=600, pattern=r"^[^\x00]*$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
_FIELDS = ("request_id", "job_id", "dataset_id", "table_name", "stac_item_id", "collection_id")


class UnpublishParameters(Contract):
    """What every job that takes something back has to know. `reason` and `requested_by` go into the review it ends."""

    dry_run: bool = True
    force_approved: bool = False
    delete_collection: bool = False  #: when no item is left in it
    reason: Reason | None = None
    requested_by: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None


class UnpublishRequest(Spelled):
    """A dataset by request_id, by job_id, by its three ids, or by what the catalogue calls it.

    The first way that is given counts, in that order. `collection_id` without an item means all of its items.
    """

    request_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None
    job_id: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    dataset_id: Identifier | None = None
    resource_id: Identifier | None = None
    version_id: VersionIdentifier | None = None
    data_type: DataType | None = None
    table_name: Name | None = None
    schema_name: Literal["geo"] = "geo"
    stac_item_id: Name | None = None
    collection_id: Name | None = None
    delete_collection: bool = False
    dry_run: bool = True
    force_approved: bool = False
    reason: Reason | None = None

    @model_validator(mode="after")
    def _names_something(self) -> UnpublishRequest:
        if all(getattr(self, field) is None for field in _FIELDS):
            raise ValueError(
                "give request_id, job_id, dataset_id with resource_id and version_id, table_name, "
                "or collection_id with stac_item_id"
            )
        ids = (self.dataset_id, self.resource_id, self.version_id)
        if any(ids) and not all(ids):
            raise ValueError("give dataset_id, resource_id and version_id together")
        if self.stac_item_id is not None and self.collection_id is None:
            raise ValueError("stac_item_id needs collection_id: items are named within their collection")
        if self.delete_collection and (self.collection_id is None or self.stac_item_id is not None):
            raise ValueError("delete_collection needs collection_id alone")
        return self


class DeleteRequest(Spelled):
    """A submit request whose operation is DELETE. The file need not be named: it stays where it is."""

    operation: Literal[Operation.DELETE]
    dataset_id: Identifier
    resource_id: Identifier
    version_id: VersionIdentifier
    container_name: Name | None = None
    file_name: Name | tuple[Name, ...] | None = None
    force_approved: bool = False
    reason: Reason | None = None

    def as_unpublish(self, *, dry_run: bool) -> UnpublishRequest:
        """The unpublish request that means the same."""
        given = self.model_dump(exclude={"operation", "container_name", "file_name"})
        return UnpublishRequest(**given, dry_run=dry_run)
