"""What is inspected without its pixels: requests and bytes that a remote COG costs, and what is known for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from core.contracts.catalog_container import CatalogBlobInput
from core.contracts.context import Sight
from core.contracts.ingest import IngestBatchInput, ItemToCopy
from core.contracts.raster import Coverage, ValidateRasterInput
from core.contracts.raster_collection import RasterCollectionParameters
from core.contracts.storage import BlobName
from services.raster.existing import describe_blob
from services.raster.gdal import gdal_session
from services.raster.ingesting import copy_batch
from services.raster.inspect import inspect_header
from services.raster.preview import preview
from services.raster.source import locate
from tests.support.ranges import RemoteStorage, Traffic, remote
from tests.support.raster import CONTAINER, EmptyCatalog, RasterRig, write_tiff


@pytest.fixture
def far(tmp_path: Path):
    with remote(tmp_path / "store") as made:
        yield made


def hills(side: int) -> np.ndarray:
    y, x = np.mgrid[0:side, 0:side] / side
    return (1500 + 400 * np.sin(5 * x) * np.cos(4 * y) + np.random.default_rng(1).normal(0, 1, (side, side))).astype(
        "f4"
    )


def cog(folder: Path, side: int = 4096) -> Path:
    pixels = hills(side)
    pixels[: side // 8] = -9999
    plain = write_tiff(folder / "plain.tif", pixels, nodata=-9999, tiled=True)
    rasterio.shutil.copy(plain, folder / "dem.tif", driver="COG", compress="DEFLATE", overview_resampling="AVERAGE")
    return folder / "dem.tif"


def look(storage: RemoteStorage, path: Path, workdir: Path, **options: object):
    name = BlobName(CONTAINER, path.name)
    storage.upload(path, name)
    request = ValidateRasterInput(blob_name=name.path, container_name=name.container, **options)
    with gdal_session(storage, name):
        return inspect_header(locate(storage, name, workdir), request)


def test_a_remote_cog_is_known_from_its_header_and_one_overview(far: tuple[RemoteStorage, Traffic], tmp_path: Path):
    storage, traffic = far
    path = cog(tmp_path)
    found = look(storage, path, tmp_path)
    size = path.stat().st_size
    assert size > 20_000_000
    assert traffic.bytes < size / 50 and len(traffic.requests) <= 8, (traffic.bytes, traffic.requests)
    whole = RasterRig(tmp_path / "local").inspect(path)
    assert found.coverage is Coverage.OVERVIEW and whole.coverage is Coverage.PIXELS
    same = ("grid", "driver", "georeference", "layout", "is_cog", "palette", "size_bytes", "raster_type")
    for name in same:
        assert getattr(found, name) == getattr(whole, name), name
    assert found.is_cog and found.layout.overviews == (2, 4, 8) and found.layout.block_width == 512
    few, all_ = found.bands[0].statistics, whole.bands[0].statistics
    assert few.mean == pytest.approx(all_.mean, rel=0.01) and few.valid_percent == pytest.approx(87.5, abs=1)
    assert (few.percentile_2, few.percentile_98) == pytest.approx((all_.percentile_2, all_.percentile_98), rel=0.02)
    assert found.bands[0].checksum == "" and whole.bands[0].checksum


def test_a_remote_cog_is_catalogued_for_less_than_a_fiftieth_of_it(far: tuple[RemoteStorage, Traffic], tmp_path: Path):
    storage, traffic = far
    path = cog(tmp_path)
    rig = RasterRig(tmp_path / "work", storage)
    rig.folder.mkdir()
    blob = rig.upload(path)
    described = describe_blob(CatalogBlobInput(container_name=blob.container, blob_name=blob.path), rig.context())
    assert traffic.bytes < path.stat().st_size / 50 and len(traffic.requests) <= 8, (traffic.bytes, traffic.requests)
    with rasterio.open(path) as source:
        made = described.made.cogs[0]
        assert (made.blocksize, list(made.overviews)) == (source.block_shapes[0][0], source.overviews(1))
        assert (made.grid.width, made.grid.height, made.compression) == (source.width, source.height, "DEFLATE")
    assert made.checksum == "" and "STATISTICS_ESTIMATED" in {f.code for f in described.inspection.findings}


def test_a_remote_cog_is_ingested_by_reading_it_once(far: tuple[RemoteStorage, Traffic], tmp_path: Path):
    storage, traffic = far
    path = cog(tmp_path)
    rig = RasterRig(tmp_path / "work", storage)
    rig.folder.mkdir()
    blob, size = rig.upload(path), path.stat().st_size
    dataset = rig.parameters(blob).dataset
    item = ItemToCopy(item_id="i", blob=blob.path, document={"properties": {"datetime": "2021-05-06T07:08:09Z"}})
    batch = IngestBatchInput(
        dataset=dataset, source_container=blob.container, target_container="silver-cogs", items=(item,)
    )
    done = copy_batch(batch, rig.context())
    assert traffic.bytes < size * 1.02 and len(traffic.requests) <= 9, (traffic.bytes / size, traffic.requests)
    [stored] = storage.list("silver-cogs")
    assert done.copied[0].request.cogs[0].checksum == hashlib.sha256(storage.read(stored.name)).hexdigest()


def test_a_large_file_without_overviews_costs_a_block_and_no_more(far: tuple[RemoteStorage, Traffic], tmp_path: Path):
    storage, traffic = far
    path = write_tiff(tmp_path / "plain.tif", hills(4096), tiled=True, blockxsize=512, blockysize=512)
    found = look(storage, path, tmp_path)
    assert traffic.bytes < path.stat().st_size / 10, traffic.bytes
    assert found.layout.overviews == () and found.bands[0].statistics.valid_percent == 100.0


def test_stores_of_many_files_are_looked_at_one_by_one(far: tuple[RemoteStorage, Traffic], tmp_path: Path):
    storage, _ = far
    names = []
    for side, store in ((40, tmp_path / "dry.zarr"), (30, tmp_path / "wet.zarr")):
        rasterio.shutil.copy(write_tiff(tmp_path / "plain.tif", hills(side)), store, driver="Zarr")
        names.append(store.name)
        for part in (
            p for p in store.rglob("*") if p.is_file() and p.name != ".zmetadata"
        ):  # as many writers leave it out
            storage.upload(part, BlobName(CONTAINER, f"{store.name}/{part.relative_to(store)}"))
    asked = RasterCollectionParameters(
        container_name=CONTAINER, blob_list=tuple(names), collection_id="c", access_level="public"
    )
    (tmp_path / "work").mkdir()
    told = preview(asked, Sight(storage, EmptyCatalog(), 4_000_000_000, tmp_path / "work")).facts["files"]
    assert [(facts["blob_name"], facts["width"]) for facts in told] == [("dry.zarr", 40), ("wet.zarr", 30)]
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.shared_data
def test_a_scene_of_1296_megapixels_is_described_for_less_than_a_hundred_kilobytes(
    far, shared_data: Path, tmp_path: Path
):
    storage, traffic = far
    path = shared_data / "raster/large/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"
    found = look(storage, path, tmp_path)
    assert (found.grid.width, found.grid.height, found.raster_type.value) == (36000, 36000, "categorical")
    assert found.is_cog and found.palette
    assert traffic.bytes < 100_000 and len(traffic.requests) <= 8, (traffic.bytes, traffic.requests)
