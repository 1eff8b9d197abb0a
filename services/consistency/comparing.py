"""The stages of reconcile: read the tables that changed, and compare."""

from __future__ import annotations

import time

from core.contracts.consistency import Compared, Measured, Measurement, ReconcileParameters
from core.contracts.context import TaskContext
from core.errors import Interrupted
from core.models.consistency import ComparisonScope
from services.vector.reference_systems import Bounds, lonlat_bounds

_BATCH = 100
_SECONDS = 1200.0  #: after that the rest waits for the next comparison


def measure(parameters: ReconcileParameters, ctx: TaskContext) -> Measured:
    """Read what changed, some tables in a statement; what was read stays known when this is interrupted."""
    if parameters.scope is ComparisonScope.GEO_ORPHANS:
        return Measured(measured=0, left=0)
    read: set[str] = set()
    ends = time.monotonic() + _SECONDS
    # A table that somebody is writing to is never up to date: it is read once.
    while (tables := ctx.consistency.to_measure(_BATCH, read)) and time.monotonic() < ends:
        if ctx.should_stop():
            raise Interrupted("Stopped between two batches of tables; what was read is kept.")
        found = ctx.consistency.measure(tables)
        ctx.consistency.keep([(one, _extent(one)) for one in found])
        read |= {table.name for table in tables}
        ctx.report_progress(50.0, f"{len(read)} tables read")
    return Measured(measured=len(read), left=len(tables))


def compare(parameters: ReconcileParameters, ctx: TaskContext) -> Compared:
    """Everything in the scope, in one snapshot."""
    return ctx.consistency.compare(parameters.scope, ctx.job_id)


def _extent(found: Measurement) -> Bounds | None:
    """In degrees; None for rows of several CRSs, or of none."""
    if found.bbox is None or len(found.srids) != 1 or found.srids[0] == 0:
        return None
    return lonlat_bounds(found.bbox, f"EPSG:{found.srids[0]}")
