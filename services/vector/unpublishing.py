"""The stages of unpublish_vector: say what there is of a table, and have it removed."""

from __future__ import annotations

from core.contracts.context import TaskContext
from core.contracts.effects import RemoveFeatureTable
from core.contracts.tables import HeldTable
from core.contracts.vector_catalog import RemovedVector, UnpublishVectorParameters
from core.errors import Conflict, NotFound


def inventory(parameters: UnpublishVectorParameters, ctx: TaskContext) -> HeldTable:
    """What would be removed. Raises NotFound for nothing, Conflict for what the public sees, unless forced."""
    held = ctx.tables.held(parameters.schema_name, parameters.table_name)
    if not held.exists and not held.catalogued:
        raise NotFound(
            f"There is no table {parameters.schema_name}.{parameters.table_name}, and the catalogue has none either."
        )
    if held.published and not parameters.force_approved and not parameters.dry_run:
        raise Conflict(
            f"Table {parameters.schema_name}.{parameters.table_name} is approved: the public sees it.",
            hint="Revoke the approval first, or send force_approved=true.",
        )
    return held


def drop_table(parameters: UnpublishVectorParameters, ctx: TaskContext) -> RemovedVector:
    """The table and all that speaks of it are gone when the task completes."""
    ctx.commit_with(
        RemoveFeatureTable(
            schema=parameters.schema_name,
            table=parameters.table_name,
            by=parameters.requested_by or ctx.job_type,
            reason=parameters.reason or "The table was unpublished.",
            force=parameters.force_approved,
            delete_collection=parameters.delete_collection,
        )
    )
    return RemovedVector(table_name=parameters.table_name)
