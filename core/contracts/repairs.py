"""What the jobs say that mend the catalogue."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from core.contracts.jobs import JobResult
from core.contracts.tasks import Contract, Queue, TaskType, Weight
from core.models.consistency import DriftKind
from core.models.platform import DataType
from core.models.record import Json

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Names = Annotated[tuple[Name, ...], AfterValidator(lambda names: tuple(sorted(set(names))))]
Numbers = Annotated[tuple[int, ...], AfterValidator(lambda numbers: tuple(sorted(set(numbers))))]


class RebuildStacParameters(Contract):
    """Parameters of `rebuild_stac`. `items` are table names, or ids of COGs.

    Items that are there are left alone unless `force_recreate`.
    """

    data_type: DataType
    items: Names = Field(min_length=1, max_length=1000)
    dry_run: bool = True
    force_recreate: bool = False
    requested_by: Name | None = None


class Prospect(StrEnum):
    """What a rebuild would do with an item."""

    REBUILD = "rebuild"  #: make it from its record
    EXISTS = "exists"  #: leave it alone
    IMPOSSIBLE = "impossible"  #: nothing describes it well enough


class RebuildCandidate(Contract):
    """One of the items, and why it is not rebuilt where it is not."""

    item: str
    prospect: Prospect
    reason: str | None = None


class RebuildPlan(Contract):
    """All of them."""

    candidates: tuple[RebuildCandidate, ...]


class RebuildItem(Contract):
    """Rebuild one."""

    parameters: RebuildStacParameters
    item: str


class RepairedItem(Contract):
    """An object that is mended when the task completes, or `refused` for a reason."""

    object: str
    kind: DriftKind
    finding_id: int | None = None
    collection_id: str | None = None
    item_id: str | None = None
    refused: str | None = None


class Refused(Contract):
    """An object that could not be mended, and why."""

    object: str
    reason: str


class RebuildStacResult(JobResult):
    """What was, or would be, rebuilt."""

    dry_run: bool
    candidates: tuple[RebuildCandidate, ...]
    rebuilt: tuple[RepairedItem, ...]
    failed: tuple[Refused, ...]


class RepairStacItemsParameters(Contract):
    """Parameters of `repair_stac_items`. Open findings that need no person: those named, of a collection, or all."""

    findings: Numbers = Field((), max_length=1000)
    collection_id: Name | None = None
    limit: int = Field(1000, ge=1, le=10000)
    dry_run: bool = True
    requested_by: Name | None = None


class DriftToRepair(Contract):
    """A finding that can be mended."""

    finding_id: int
    kind: DriftKind
    object: str
    detail: Json


class RepairInventory(Contract):
    """What can be mended now."""

    findings: tuple[DriftToRepair, ...]


class RepairOne(Contract):
    """Mend one."""

    finding: DriftToRepair
    requested_by: str | None = None


class RepairStacItemsResult(JobResult):
    """What was, or would be, mended."""

    dry_run: bool
    findings: tuple[DriftToRepair, ...]
    repaired: tuple[RepairedItem, ...]
    failed: tuple[Refused, ...]


STAC_REBUILD_VALIDATE = TaskType(
    "stac_rebuild_validate", RebuildStacParameters, RebuildPlan, Queue.VECTOR, Weight.HEAVY
)
STAC_REBUILD_ITEM = TaskType("stac_rebuild_item", RebuildItem, RepairedItem, Queue.VECTOR, Weight.HEAVY)
STAC_REPAIR_INVENTORY = TaskType(
    "stac_repair_inventory", RepairStacItemsParameters, RepairInventory, Queue.VECTOR, Weight.HEAVY
)
STAC_REPAIR_ITEM = TaskType("stac_repair_item", RepairOne, RepairedItem, Queue.VECTOR, Weight.HEAVY)
