"""Zones of times that GDAL leaves out of Arrow where a format has them value by value: FlatGeobuf, GML, KML, GPX."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyogrio

from core.contracts.vector import SourcePlan

_ZONE = re.compile(r":\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)$")
TYPES = _MOMENT, _LOCAL = pa.timestamp("ms", tz="UTC"), pa.timestamp("ms")  #: to which such texts are brought


def planned(path: Path, plan: SourcePlan, attributes: pa.Schema) -> SourcePlan:
    """The plan, saying which columns hold moments and which local times; those that hold both are read as text."""
    times = [field.name for field in attributes if pa.types.is_timestamp(field.type)]
    if all(attributes.field(name).type.tz is not None for name in times):
        return plan
    zoned: dict[str, set[bool]] = {name: set() for name in times}
    options = {"layer": plan.layer, "read_geometry": False, "datetime_as_string": True}
    with pyogrio.open_arrow(path, columns=times, use_pyarrow=True, **options) as (_, stream):
        for batch in stream:
            for name in times:
                texts = pc.unique(batch.column(name).cast(pa.string()).drop_null()).to_pylist()
                zoned[name] |= {_ZONE.search(text) is not None for text in texts}
    if not any(True in kinds for kinds in zoned.values()):
        return plan
    moments = tuple(name for name in times if zoned[name] == {True})
    local = tuple(name for name in times if zoned[name] <= {False})
    return plan.model_copy(update={"times_as_text": True, "moments": moments, "local_times": local})


def type_of(field: pa.Field, plan: SourcePlan) -> pa.DataType:
    """The type of a column of a file whose times are read as text."""
    return _MOMENT if field.name in plan.moments else _LOCAL if field.name in plan.local_times else field.type
