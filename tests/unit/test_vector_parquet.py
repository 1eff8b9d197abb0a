"""Parquet files as features."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from services.vector import coordinates, parquet_reader, planning
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


GROUPS = {
    "points, and nulls": [["POINT (1 2)", None, "POINT (3 4)"], [None, None]],
    "a type a group": [
        ["POINT (1 2)"],
        ["LINESTRING (0 0, 1 1)"] * 2,
        ["MULTIPOLYGON Z (((0 0 1, 1 0 1, 1 1 1, 0 0 1)))"],
    ],
    "measured": [["LINESTRING M (0 0 5, 1 1 6)"] * 3, ["LINESTRING (0 0, 1 1)"]],
}
UNPROVEN = {
    "two types in a group": [["POINT (1 2)", "LINESTRING (0 0, 1 1)", "POINT (3 4)"]],
    "single and multi": [["POLYGON ((0 0, 1 0, 1 1, 0 0))", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))"]],
    "damaged": [["POINT (1 2)", b"\x01\x01"]],
    "no geometry": [[b"\x01\x63\x00\x00\x00", b"\x01\x63\x00\x00\x00"]],
}


def geometries(tmp_path, groups, **options):
    path, schema = tmp_path / "g.parquet", pa.schema({"geometry": pa.binary()})
    with pq.ParquetWriter(path, schema, **options) as writer:
        for group in groups:
            raw = [shapely.to_wkb(shapely.from_wkt(v), flavor="iso") if isinstance(v, str) else v for v in group]
            writer.write_table(pa.table([pa.array(raw, pa.binary())], schema=schema))
    return parquet_reader.ParquetReader(path, parquet_reader.layout_of(path, coordinates.CoordinateColumns(), "t"), "t")


def surveys(tmp_path, groups):
    """As the statistics prove it, and from looking at every value of a file without statistics."""
    quick = geometries(tmp_path, groups)
    return quick.survey, planning.survey(geometries(tmp_path, groups, write_statistics=False), measure=False)


@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_statistics_prove_what_a_look_at_every_geometry_finds(tmp_path, groups):
    proven, looked = surveys(tmp_path, groups)
    assert proven is not None and proven == looked


@pytest.mark.parametrize("groups", UNPROVEN.values(), ids=UNPROVEN)
def test_statistics_prove_nothing_of_groups_with_several_types(tmp_path, groups):
    proven, looked = surveys(tmp_path, groups)
    assert proven is None and sum(looked.counts.values()) == len([v for v in groups[0] if v is None or len(v) >= 5])
    assert planning.survey(geometries(tmp_path, groups), measure=False) == looked


def test_geometries_are_looked_at_where_the_file_has_no_statistics(tmp_path):
    reader = geometries(tmp_path, [["POINT (1 2)"] * 3], write_statistics=False)
    assert reader.survey is None
    assert planning.survey(reader, measure=False).counts == {1: 3}


def test_bounds_are_measured_where_they_are_wanted_whatever_statistics_prove(tmp_path):
    reader = geometries(tmp_path, [["POINT (1 2)", "POINT (5 1)"]])
    assert reader.survey is not None
    assert planning.survey(reader, measure=True).bounds == (1, 1, 5, 2)
