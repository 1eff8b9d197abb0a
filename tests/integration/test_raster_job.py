"""process_raster_v2 from file to catalogue, its effects written to a real pgSTAC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psycopg
import pytest
import rasterio

from config.settings import StorageSettings
from core.errors import UnreadableSource
from infrastructure.pgstac import get_item
from infrastructure.postgres.effects import apply
from infrastructure.storage import from_settings
from services.raster.gdal import gdal_session
from tests.support.raster import RasterRig, write_tiff

pytest_plugins = ("tests.support.azurite",)


def test_a_raster_is_catalogued_and_processing_it_again_changes_nothing_twice(db: str, tmp_path: Path):
    rig = RasterRig(tmp_path)
    pixels = np.random.default_rng(5).normal(900, 40, (600, 600)).astype(np.float32)
    path = write_tiff(tmp_path / "dem.tif", pixels)
    with psycopg.connect(db, autocommit=True) as conn:
        for _ in range(2):
            done = rig.run(path, dataset_id="d", resource_id="r", version_id="1")
            with conn.transaction():
                for effect in done.effects:
                    apply(conn, effect)
        stac = done.result.stac
        stored = get_item(conn, stac.collection_id, stac.item_id)
        assert stored["properties"]["app:published"] is False
        assert stored["assets"]["data"]["file:size"] == done.made.cogs[0].size_bytes
        assert stored["properties"]["renders"] == done.item["properties"]["renders"]
        row = conn.execute("SELECT cog_id, etl_job_id, checksum, raster_bands FROM app.cog_metadata").fetchall()
        assert row == [(stac.cog_id, "a" * 64, "1220" + done.made.cogs[0].checksum, done.record.raster_bands)]
        assert conn.execute("SELECT count(*) FROM pgstac.items").fetchone() == (1,)
    blob = rig.storage.parse_href(stored["assets"]["data"]["href"])
    assert blob == done.made.cogs[0].blob and rig.storage.head(blob).size == done.made.cogs[0].size_bytes


@pytest.mark.azurite
def test_blobs_in_azure_are_read_and_written_as_local_ones_are(azurite, tmp_path: Path):
    storage = from_settings(StorageSettings(connection_string=azurite.connection_string), tmp_path)
    pixels = np.random.default_rng(5).integers(1, 4000, (2, 900, 700), dtype=np.uint16)
    path = write_tiff(tmp_path / "a.tif", pixels, nodata=0)
    remote, local = RasterRig(tmp_path, storage), RasterRig(tmp_path / "local")
    (tmp_path / "local").mkdir()
    done, same = remote.run(path), local.run(path)
    assert done.made.cogs[0].checksum == same.made.cogs[0].checksum
    blob = done.made.cogs[0].blob
    assert done.item["assets"]["data"]["href"] == f"/vsiaz/{blob.container}/{blob.path}"
    with gdal_session(storage, blob), rasterio.open(storage.gdal_path(blob)) as written:
        np.testing.assert_array_equal(written.read(), pixels)
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    with pytest.raises(UnreadableSource, match=r"text\.tif"):
        remote.run(text)
