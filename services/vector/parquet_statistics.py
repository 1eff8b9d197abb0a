"""What do a Parquet file's statistics prove of its geometries, without reading them?

Where least and greatest value of a row group begin with the same byte order and type code, all values between them do.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from services.vector import families, wkb
from services.vector.readers import Survey

_HEAD = 5  #: bytes of WKB that say the byte order and the type


def surveyed(metadata: pq.FileMetaData, column: str) -> Survey | None:
    """The types of all geometries of a column of WKB; None when the statistics do not prove them."""
    found = Survey()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        chunks = (group.column(i) for i in range(group.num_columns))
        statistics = next((c.statistics for c in chunks if c.path_in_schema == column), None)
        if statistics is None or not statistics.has_null_count or not _added(statistics, group.num_rows, found):
            return None
    return found


def _added(statistics: pq.Statistics, rows: int, found: Survey) -> bool:
    """Count a row group; False when its values may be of several types."""
    present = rows - statistics.null_count
    if present == 0:
        return True
    if not statistics.has_min_max:
        return False
    head = statistics.min[:_HEAD]
    codes, has_z, has_m = wkb.type_codes(pa.array([head], pa.binary()))
    kind = families.kind_of(int(codes[0])) if len(codes) else None
    if kind is None or statistics.max[:_HEAD] != head:
        return False
    found.counts[int(codes[0])] = found.counts.get(int(codes[0]), 0) + present
    for flags, kinds in ((has_z, found.with_z), (has_m, found.with_m)):
        if flags[0]:
            kinds.add(kind)
    return True
