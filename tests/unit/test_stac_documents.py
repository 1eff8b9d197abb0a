"""STAC items and collections: valid, unpublished, complete."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import stac_pydantic
from pystac.extensions.eo import EOExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.extensions.render import RenderExtension
from rasterio.transform import from_origin

from core.errors import ContractViolation
from core.models.platform import AccessLevel
from services.stac.collections import CollectionParts, collection_document
from services.stac.items import ItemParts, item_document
from services.stac.names import item_id, slug
from services.stac.properties import Provenance, dataset_properties
from tests.support.raster import Finished, RasterRig, write_tiff

LOCAL = from_origin(-1000, 1000, 100, 100)
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
IDS = {"dataset_id": "D", "resource_id": "R", "version_id": "v1", "request_id": "f" * 32, "client_id": "ddh"}


@pytest.fixture
def dem(tmp_path: Path) -> Finished:
    pixels = np.random.default_rng(1).normal(800, 90, (600, 700)).astype(np.float32)
    pixels[0] = -9999
    path = write_tiff(tmp_path / "dem.tif", pixels, nodata=-9999)
    return RasterRig(tmp_path).run(path, **IDS, title="Heights", tags=["terrain"], access_level="restricted")


def test_an_item_of_a_raster_is_valid_and_its_extensions_read_it(dem):
    stac_pydantic.Item.model_validate(dem.item)
    item = pystac.Item.from_dict(dem.item, migrate=False)
    assert (
        item.id == "d-r-v1"
        and item.collection_id == "test-collection"
        and item.stac_extensions == sorted(item.stac_extensions)
    )
    projection, asset = ProjectionExtension.ext(item), item.assets["data"]
    assert projection.code == "EPSG:32735" and projection.shape == [600, 700]
    assert projection.transform[:6] == [10, 0, 500_000, 0, -10, 9_800_000]
    (band,) = RasterExtension.ext(asset).bands
    assert band.nodata == -9999 and band.data_type == "float32"
    assert 700 < band.statistics.mean < 900 and band.statistics.minimum > 0
    file = FileExtension.ext(asset)
    assert file.checksum == "1220" + dem.made.cogs[0].checksum and file.size == dem.made.cogs[0].size_bytes
    assert RenderExtension.ext(item).renders["default"].assets == ["data"]
    assert asset.media_type == pystac.MediaType.COG and asset.roles == ["data"]


def test_an_item_names_the_colours_of_its_bands_and_what_made_it(tmp_path):
    pixels = np.random.default_rng(1).integers(1, 255, (4, 30, 30), dtype=np.uint8)
    path = write_tiff(tmp_path / "naip.tif", pixels, photometric="RGB", alpha="NO")
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="IMAGERY", CLOUDCOVER="12.5")
    done = RasterRig(tmp_path).run(path)
    item = pystac.Item.from_dict(done.item, migrate=False)
    bands = EOExtension.ext(item.assets["data"]).bands
    assert [band.common_name for band in bands] == ["red", "green", "blue", "nir"]
    assert EOExtension.ext(item).cloud_cover == 12.5
    assert done.record.eo_bands[3] == {"name": "b4", "common_name": "nir"}
    properties = done.item["properties"]
    assert properties["processing:software"]["GDAL"] == rasterio.__gdal_version__
    assert "GTiff" in properties["processing:lineage"]
    assert properties["app:raster_type"] == "nir" and properties["app:type_confidence"] == 0.85
    assert properties["app:type_evidence"] == ["red, green, blue and a fourth band that is not alpha"]
    assert {uri.split("/")[3] for uri in item.stac_extensions} == {
        "projection", "raster", "file", "render", "processing", "eo",
    }  # fmt: skip


def test_an_item_claims_no_colours_that_the_file_does_not_state(dem):
    assert "eo:bands" not in dem.item["assets"]["data"] and not [e for e in dem.item["stac_extensions"] if "/eo/" in e]


def test_a_compound_crs_is_placed_by_its_horizontal_part(tmp_path):
    pixels = np.random.default_rng(1).normal(0, 1, (20, 20)).astype(np.float32)
    done = RasterRig(tmp_path).run(write_tiff(tmp_path / "a.tif", pixels, crs="EPSG:32635+5773"))
    properties = done.item["properties"]
    assert "COMPD_CS" in properties["proj:wkt2"] or properties["proj:code"] == "EPSG:32635+5773"
    west, south, east, north = done.item["bbox"]
    assert 26.9 < west < east < 27.1 and 87 < south < north < 89


def test_an_item_says_whose_it_is_and_is_not_published(dem):
    properties = dem.item["properties"]
    assert {k: v for k, v in properties.items() if k.startswith("platform:")} == {
        "platform:dataset_id": "D",
        "platform:resource_id": "R",
        "platform:version_id": "v1",
        "platform:request_id": "f" * 32,
        "platform:access_level": "restricted",
        "platform:client": "ddh",
    }
    assert properties["app:published"] is False and properties["app:job_id"] == "a" * 64
    assert properties["app:job_type"] == "process_raster_v2" and properties["app:datetime_source"] == "processing"
    assert not [name for name in properties if name.startswith("geo:")]
    assert dem.item["links"] == [], "addresses belong to whoever serves the item"


def test_the_catalogue_row_and_the_item_agree(dem):
    record, item = dem.record, dem.item
    assert record.cog_id == "test-collection:d-r-v1" and record.stac_item_id == item["id"]
    assert record.cog_url == item["assets"]["data"]["href"]
    assert [record.bbox_minx, record.bbox_miny, record.bbox_maxx, record.bbox_maxy] == item["bbox"]
    assert (record.width, record.height, record.band_count, record.dtype) == (700, 600, 1, "float32")
    assert record.checksum == item["assets"]["data"]["file:checksum"] and record.resolution == [10, 10]
    assert record.source_file == "bronze-rasters/dem.tif" and record.crs == "EPSG:32735"
    assert dem.result.stac.cog_id == record.cog_id and dem.result.cog.file_checksum == dem.made.cogs[0].checksum


def test_the_result_has_the_shape_partners_read(dem):
    result = dem.result.model_dump(mode="json")
    assert result["job_type"] == "process_raster_v2" and result["source_blob"] == "dem.tif"
    assert {"source_crs", "raster_type", "confidence", "warnings"} <= result["validation"].keys()
    assert {"cog_blob", "cog_container", "size_mb", "compression", "file_checksum", "file_size"} <= result["cog"].keys()
    assert {"collection_id", "item_id", "bbox"} <= result["stac"].keys()


def test_a_custom_crs_is_written_out(tmp_path):
    crs = "+proj=laea +lat_0=-2 +lon_0=30 +datum=WGS84"
    pixels = np.random.default_rng(1).normal(0, 1, (20, 20)).astype(np.float32)
    done = RasterRig(tmp_path).run(write_tiff(tmp_path / "a.tif", pixels, crs=crs, transform=LOCAL))
    properties = done.item["properties"]
    assert properties["proj:code"] is None and "Lambert_Azimuthal" in properties["proj:wkt2"]


def test_nan_never_reaches_json(tmp_path):
    pixels = np.full((20, 20), np.nan, np.float32)
    pixels[:3] = 1.5
    done = RasterRig(tmp_path).run(write_tiff(tmp_path / "a.tif", pixels, nodata=float("nan")))
    assert done.item["assets"]["data"]["raster:bands"][0]["nodata"] == "nan"
    assert math.isnan(done.record.nodata) and "NaN" not in done.record.model_dump_json()


def test_an_acquisition_time_in_the_tags_is_the_item_s_datetime(tmp_path):

    path = write_tiff(tmp_path / "a.tif", np.random.default_rng(1).normal(0, 1, (20, 20)).astype(np.float32))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2020-05-06T07:08:09Z")
    properties = RasterRig(tmp_path).run(path).item["properties"]
    assert properties["datetime"] == "2020-05-06T07:08:09Z" and properties["app:datetime_source"] == "acquisition"


def test_access_level_cannot_be_left_out():
    with pytest.raises(TypeError, match="access_level"):
        Provenance(job_id="a" * 64, job_type="x", created_at=NOW)  # type: ignore[call-arg]
    known = dataset_properties(Provenance(AccessLevel.OUO, "a" * 64, "x", NOW))
    assert known["platform:access_level"] == "ouo" and "platform:dataset_id" not in known


def test_a_collection_is_valid_and_never_narrower_than_its_item():
    document = collection_document(CollectionParts("c", (170.0, -20.0, -170.0, -10.0), start=NOW, end=NOW))
    stac_pydantic.Collection.model_validate(document)
    collection = pystac.Collection.from_dict(dict(document))
    assert collection.extent.spatial.bboxes == [[-180.0, -20.0, 180.0, -10.0]]
    assert collection.extent.temporal.intervals == [[NOW, NOW]] and collection.license == "other"


def test_an_item_that_breaks_the_specification_is_a_defect():
    parts = ItemParts("i", "c", {"type": "Polygon"}, (0, 0, 1, 1), NOW, {}, {})
    with pytest.raises(ContractViolation, match="'i'"):
        item_document(parts)


@pytest.mark.parametrize(("text", "expected"), [("A b_C", "a-b-c"), ("--x--", "x"), ("///", "item"), ("v1.0", "v1-0")])
def test_slugs_are_lower_case_words_with_hyphens(text, expected):
    assert slug(text) == expected


def test_an_id_needs_all_its_parts_or_falls_back():
    assert (
        item_id("D 1", "R", "v2", fallback="x") == "d-1-r-v2"
        and item_id("D", None, "v", fallback="c/p.tif") == "c-p-tif"
    )
