"""What would a vector job find in its source? The planning of the real job, and nothing after it."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from core.contracts.context import Sight
from core.contracts.plans import Look, PlanFinding
from core.contracts.vector import LayerPlan, ProcessVectorParameters, TablePlan
from services.vector import fetching, layers


def preview(parameters: ProcessVectorParameters, sight: Sight) -> Look:
    """Fetch the file, choose its layers and plan their tables. Raises the DataError that the job would end with."""
    fetched = fetching.fetch(sight.storage, parameters.source, parameters.file_extension, sight.workdir)
    planned = layers.planned_layers(fetched, parameters, partitions=1)
    findings = tuple(_finding(f.code, f.severity, f.message) for layer in planned for f in layer.findings)
    return Look(facts={"layers": [_facts(layer) for layer in planned]}, findings=findings)


def _facts(layer: LayerPlan) -> JsonValue:
    source = layer.source
    return {
        "driver": source.driver,
        "layer": source.layer,
        "member": source.member,
        "crs": source.crs,
        "feature_count": layer.feature_count,
        "tables": [_table(table) for table in layer.tables],
    }


def _table(table: TablePlan) -> JsonValue:
    columns = [{"name": c.name, "type": c.sql_type, "source_name": c.source_name} for c in table.columns]
    return {
        "name": table.name,
        "geometry_type": table.geometry_type,
        "srid": table.srid,
        "columns": cast("list[JsonValue]", columns),
    }


def _finding(code: str, severity: str, message: str) -> PlanFinding:
    return PlanFinding(code=str(code), severity=str(severity), message=message)
