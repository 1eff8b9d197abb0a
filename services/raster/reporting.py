"""Whether a raster could be published, as a report: what refuses it is an answer, not a failure."""

from __future__ import annotations

from core.contracts.context import TaskContext
from core.contracts.raster import ValidateRasterInput
from core.contracts.raster_reports import RasterReport, Refusal
from core.errors import DataError, InvalidRequest
from services.raster import handlers


def report(params: ValidateRasterInput, ctx: TaskContext) -> RasterReport:
    """Validate as process_raster_v2 does; faults of the data become the report."""
    try:
        return RasterReport(inspection=handlers.validate(params, ctx))
    except (DataError, InvalidRequest) as e:
        return RasterReport(refusal=Refusal(code=e.code, message=e.message, hint=e.hint))
