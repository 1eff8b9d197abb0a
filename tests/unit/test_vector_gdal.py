"""Layers that GDAL reads, in parts."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from geopandas import GeoDataFrame

from core.contracts.vector import SourcePlan
from core.contracts.vector_formats import EXTENSIONS
from services.vector.findings import Findings
from services.vector.gdal_reader import GdalReader
from services.vector.readers import GEOMETRY


def reader(path: Path) -> GdalReader:
    declared = EXTENSIONS[path.suffix.lstrip(".")]
    return GdalReader(path, SourcePlan(shown="f", format=declared, layer="f", driver="", crs=""), "f")


def changed(path: Path, *statements: str) -> int:
    """Change a GeoPackage behind GDAL's back; how many rows it then has, which it is told."""
    with sqlite3.connect(path) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        for statement in statements:
            database.execute(statement)
        ((count,),) = database.execute("SELECT count(*) FROM f")
        database.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", (count,))
    database.close()
    return int(count)


def made(path: Path, count: int) -> Path:
    frame = GeoDataFrame(
        {"n": np.arange(count, dtype=np.int32), "name": [f"name {i % 7}" for i in range(count)]},
        geometry=shapely.points(np.arange(count) % 180, np.arange(count) % 83),
        crs=4326,
    )
    pyogrio.write_dataframe(frame, path, driver="OpenFileGDB" if path.suffix == ".gdb" else None)
    return path


def require_identity(path: Path, count: int) -> None:
    opened = reader(path)
    whole = [row for batch in opened.batches(Findings()) for row in batch.to_pylist()]
    assert len(whole) == opened.feature_count == count
    for wanted in (1, 2, 3, 7):
        parts, rows = opened.partitions(wanted), []
        assert len(parts) == wanted
        for part in parts:
            assert part.first_id == len(rows) + 1
            found = [row for batch in reader(path).batches(Findings(), part) for row in batch.to_pylist()]
            assert len(found) == part.features
            rows += found
        assert rows == whole


@pytest.mark.parametrize("name", ["f.gpkg", "f.shp", "f.fgb", "f.gdb"])
def test_parts_read_alone_give_what_the_whole_gives(tmp_path, name):
    require_identity(made(tmp_path / name, 10_001), 10_001)


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM f WHERE fid % 10 < 4 OR fid BETWEEN 1000 AND 2500"],
        ["UPDATE f SET fid = -fid"],
        ["UPDATE f SET fid = fid - 2500"],
        [
            "UPDATE f SET fid = 9223372036854775807 WHERE fid = 17",
            "UPDATE f SET fid = -9223372036854775808 WHERE fid = 18",
        ],
        ["DELETE FROM f WHERE fid > 9"],
        ['ALTER TABLE f RENAME COLUMN fid TO "odd ""name"""'],
    ],
    ids=["gaps", "negative", "across zero", "far away", "few", "odd name"],
)
def test_parts_of_a_geopackage_hold_every_feature_once_whatever_their_ids(tmp_path, statements):
    path = made(tmp_path / "f.gpkg", 5_000)
    require_identity(path, changed(path, *statements))


def test_a_geopackage_that_counts_itself_wrongly_loses_nothing(tmp_path):
    path = made(tmp_path / "f.gpkg", 5_000)
    changed(path)
    for wrong in (1_000, 5_001, 20_000):
        with sqlite3.connect(path) as database:
            database.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", (wrong,))
        database.close()
        opened = reader(path)
        parts = opened.partitions(4)
        found = [row["n"] for part in parts for b in opened.batches(Findings(), part) for row in b.to_pylist()]
        assert found == list(range(5_000)) and sum(p.features for p in parts) == 5_000


def test_a_view_of_a_geopackage_is_read_in_parts_too(tmp_path):
    path = made(tmp_path / "f.gpkg", 5_000)
    as_view = "CREATE VIEW f AS SELECT fid AS OGC_FID, geom, n, name FROM rows_of_f ORDER BY n DESC"
    require_identity(path, changed(path, "ALTER TABLE f RENAME TO rows_of_f", as_view))


def test_arcs_in_a_later_part_are_the_chords_of_their_own_features(tmp_path):
    path = made(tmp_path / "f.gpkg", 60)
    changed(path, "UPDATE gpkg_geometry_columns SET geometry_type_name = 'CIRCULARSTRING'")
    with sqlite3.connect(path) as database:
        for n in range(60):
            arc = struct.pack("<2sBBiBII6d", b"GP", 0, 1, 4326, 1, 8, 3, n, 0, n + 0.5, 0.5, n + 1, 0)
            database.execute("UPDATE f SET geom = ? WHERE n = ?", (arc, n))
    database.close()
    opened = reader(path)
    rows = [row for p in opened.partitions(4) for b in opened.batches(Findings(), p) for row in b.to_pylist()]
    lines = shapely.from_wkb([row[GEOMETRY] for row in rows])
    assert [row["n"] for row in rows] == list(range(60))
    assert (shapely.get_type_id(lines) == 1).all() and (shapely.get_num_coordinates(lines) > 10).all()
    assert shapely.get_x(shapely.get_point(lines, 0)).tolist() == list(range(60))
