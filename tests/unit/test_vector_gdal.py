"""Layers that GDAL reads, in parts."""

from __future__ import annotations

import sqlite3
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


def reader(path: Path) -> GdalReader:
    declared = EXTENSIONS[path.suffix.lstrip(".")]
    return GdalReader(path, SourcePlan(shown="f", format=declared, layer="f", driver="", crs=""), "f")


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
        assert len(parts) == wanted and [p.first_id for p in parts] == [p.start + 1 for p in parts]
        for part in parts:
            found = [row for batch in reader(path).batches(Findings(), part) for row in batch.to_pylist()]
            assert len(found) == part.features
            rows += found
        assert rows == whole


@pytest.mark.parametrize("name", ["f.gpkg", "f.shp", "f.fgb", "f.gdb"])
def test_parts_read_alone_give_what_the_whole_gives(tmp_path, name):
    require_identity(made(tmp_path / name, 10_001), 10_001)


def test_parts_of_a_geopackage_count_the_features_that_are_there_not_their_numbers(tmp_path):
    path = made(tmp_path / "f.gpkg", 5_000)
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER IF EXISTS rtree_f_geom_delete")
        database.execute("DELETE FROM f WHERE fid % 10 < 4 OR fid BETWEEN 1000 AND 2500")
        [(left,)] = database.execute("SELECT count(*) FROM f")
        database.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", (left,))
    database.close()
    require_identity(path, left)
