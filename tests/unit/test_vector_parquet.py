"""Parquet files as features."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.vector import coordinates, parquet_reader
from services.vector.findings import Findings


@pytest.mark.parametrize("wanted", [1, 2, 3, 50])
def test_parts_of_row_groups_are_together_the_whole_in_its_order(tmp_path, wanted):
    path, sizes = tmp_path / "t.parquet", (5, 1, 700, 3, 40)
    schema = pa.schema({"n": pa.int64(), "lat": pa.float64(), "lon": pa.float64()})
    with pq.ParquetWriter(path, schema) as writer:
        for number, size in enumerate(sizes):
            first = sum(sizes[:number])
            rows = range(first, first + size)
            columns = [list(rows), [1.0] * size, [2.0] * size]
            writer.write_table(pa.table(columns, schema=schema))
    layout = parquet_reader.layout_of(path, coordinates.CoordinateColumns(), "t")
    reader = parquet_reader.ParquetReader(path, layout, "t")
    parts = reader.partitions(wanted)
    assert len(parts) == min(wanted, len(sizes))
    read = [[n for b in reader.batches(Findings(), part) for n in b.column("n").to_pylist()] for part in parts]
    assert [n for rows in read for n in rows] == list(range(sum(sizes)))
    assert [(rows[0] + 1, len(rows)) for rows in read] == [(p.first_id, p.features) for p in parts]
