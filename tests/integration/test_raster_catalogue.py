"""The catalogue's one model of a raster: what the pipeline writes, the tables keep and the item is made of again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import psycopg
import pytest
from affine import Affine
from psycopg.rows import dict_row

from infrastructure.pgstac import get_item
from infrastructure.postgres.effects import apply
from services.raster.metadata import RasterMetadata
from tests.support.raster import Finished, RasterRig, write_tiff

IDS = {"dataset_id": "floods", "resource_id": "kigali", "version_id": "v1", "request_id": "f" * 32, "client_id": "ddh"}
RNG = np.random.default_rng(3)
EASTERNMOST = {"crs": "EPSG:32660", "transform": Affine(60.0, 0.0, 800_000.0, 0.0, -60.0, 8_000_000.0)}


@pytest.fixture
def conn(db: str):
    with psycopg.connect(db, autocommit=True) as opened:
        yield opened


def commit(conn: psycopg.Connection, done: Finished) -> None:
    with conn.transaction():
        for effect in done.effects:
            apply(conn, effect)


def row(conn: psycopg.Connection, cog_id: str) -> dict:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM app.cog_metadata WHERE cog_id = %s", (cog_id,)).fetchone()


def floats(document: object) -> object:
    """pgSTAC keeps numbers as PostgreSQL does, without a difference between 1 and 1.0."""
    return json.loads(json.dumps(document), parse_int=float)


def pictures(folder: Path) -> dict[str, Path]:
    nan = RNG.normal(5, 2, (40, 50)).astype(np.float32)
    nan[:9] = np.nan
    huge = RNG.normal(5, 2, (40, 50)).astype(np.float32)
    huge[0] = -3.4028234663852886e38
    picture = RNG.integers(0, 255, (4, 30, 30), dtype=np.uint8)
    return {
        "nan": write_tiff(folder / "nan.tif", nan, nodata=float("nan")),
        "smallest float": write_tiff(folder / "huge.tif", huge, nodata=-3.4028234663852886e38),
        "four bands": write_tiff(folder / "nir.tif", picture, photometric="RGB", alpha="NO"),
        "palette": write_tiff(folder / "p.tif", RNG.integers(0, 3, (30, 30), dtype=np.uint8), palette={1: (9, 8, 7)}),
        "all nodata": write_tiff(folder / "none.tif", np.zeros((30, 30), np.uint8), nodata=0),
        "antimeridian": write_tiff(folder / "east.tif", RNG.random((900, 3000)).astype(np.float32), **EASTERNMOST),
    }


@pytest.mark.parametrize("kind", ["nan", "smallest float", "four bands", "palette", "all nodata", "antimeridian"])
def test_an_item_made_from_the_row_is_the_one_the_pipeline_wrote(conn, tmp_path: Path, kind: str):
    path = pictures(tmp_path)[kind]
    done = RasterRig(tmp_path).run(path, **IDS, title="A title", tags=["a, b", "c"], output_tier="all")
    commit(conn, done)
    again = RasterMetadata.from_row(row(conn, done.result.stac.cog_id))
    assert again.item() == done.item
    assert json.dumps(again.item(), sort_keys=True) == json.dumps(done.item, sort_keys=True), "1 and 1.0 differ too"
    assert again.record.nodata == done.record.nodata or (kind == "nan" and np.isnan(again.record.nodata))
    held = get_item(conn, done.item["collection"], done.item["id"])
    for part in ("properties", "assets", "geometry", "bbox"):
        assert floats(held[part]) == floats(done.item[part])


def test_a_dataset_knows_its_rasters_once_however_often_they_are_processed(conn, tmp_path: Path):
    rig, path = RasterRig(tmp_path), write_tiff(tmp_path / "a.tif", RNG.random((30, 30)).astype(np.float32))
    other = write_tiff(tmp_path / "b.tif", RNG.random((30, 30)).astype(np.float32))
    for _ in range(2):
        commit(conn, rig.run(path, **IDS))
    commit(conn, rig.run(other, **{**IDS, "version_id": "v2"}))
    commit(conn, rig.run(other, item_id="nobody-s"))
    found = conn.execute(
        "SELECT dataset_id, version_id, data_type::text, cog_id, client_id FROM app.dataset_refs ORDER BY version_id"
    ).fetchall()
    assert found == [
        ("floods", "v1", "raster", "test-collection:floods-kigali-v1", "ddh"),
        ("floods", "v2", "raster", "test-collection:floods-kigali-v2", "ddh"),
    ]
