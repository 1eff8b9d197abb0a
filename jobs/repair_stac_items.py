"""repair_stac_items: what comparisons found is mended, one finding after the other."""

from __future__ import annotations

from collections.abc import Iterator

from core.contracts.jobs import Job, Parallelism, Stage, StageResults, TaskSpec
from core.contracts.repairs import (
    STAC_REPAIR_INVENTORY,
    STAC_REPAIR_ITEM,
    RepairOne,
    RepairStacItemsParameters,
    RepairStacItemsResult,
)
from core.states import FailurePolicy
from jobs.mended import outcome

_INVENTORY, _REPAIR = "inventory", "repair"


def _inventory(parameters: RepairStacItemsParameters, _: StageResults) -> Iterator[TaskSpec]:
    yield TaskSpec("findings", parameters)


def _repair(parameters: RepairStacItemsParameters, results: StageResults) -> Iterator[TaskSpec]:
    if not parameters.dry_run:
        for finding in results.one(STAC_REPAIR_INVENTORY, _INVENTORY).findings:
            yield TaskSpec(str(finding.finding_id), RepairOne(finding=finding, requested_by=parameters.requested_by))


def _finalize(parameters: RepairStacItemsParameters, results: StageResults) -> RepairStacItemsResult:
    found = results.one(STAC_REPAIR_INVENTORY, _INVENTORY).findings
    objects = {str(finding.finding_id): finding.object for finding in found}
    mended = outcome(results, STAC_REPAIR_ITEM, _REPAIR, objects)
    return RepairStacItemsResult(
        job_type=JOB.name,
        dry_run=parameters.dry_run,
        findings=found,
        repaired=mended.done,
        failed=mended.failed,
    )


JOB = Job(
    name="repair_stac_items",
    description="Mend what comparisons found and no person has to decide.",
    parameters=RepairStacItemsParameters,
    result=RepairStacItemsResult,
    stages=(
        Stage(_INVENTORY, STAC_REPAIR_INVENTORY, _inventory),
        Stage(_REPAIR, STAC_REPAIR_ITEM, _repair, Parallelism.FAN_OUT),
    ),
    finalize=_finalize,
    on_failure=FailurePolicy.PARTIAL,
    repeatable=True,
)
