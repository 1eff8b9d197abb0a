"""Every raster of the shared data ends as its README says: published as GDAL measured it, or refused for the reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
import stac_pydantic
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from core.contracts.storage import BlobName
from tests.support.published import Platform, platform

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
_FACTS = _DATA / "facts.json"

#: Files that must be refused, and why. Everything else becomes a COG.
REFUSED = {
    "raster/broken/corrupt.tif": "UNREADABLE_SOURCE",
    "raster/broken/malformed.tif": "UNREADABLE_SOURCE",
    "raster/broken/not-tiff.jpg": "CRS_MISSING",
    "raster/broken/invalid.nogeoref.tif": "CRS_MISSING",
    "raster/broken/invalid.projection.tif": "CRS_MISSING",
    "raster/general/rotated.tif": "CRS_MISSING",
    "raster/general/float.tif": "CRS_MISSING",
    "raster/general/float_nan.tif": "CRS_MISSING",
    "raster/general/cint16.tif": "UNSUPPORTED_FORMAT",
    "raster/general/cog_hirise_mars.tif": "INVALID_RASTER",
    "multidim/bcsd_obs_1999.nc": "AMBIGUOUS_LAYER",
    "multidim/two-subs.h5": "AMBIGUOUS_LAYER",
    "multidim/dataset_3d.nc": "CRS_MISSING",
    "multidim/dataset_3d.zarr": "CRS_MISSING",
    "multidim/pyramid.zarr": "AMBIGUOUS_LAYER",
}
#: Rectified from control points, so pixels are not the source's.
RESAMPLED = {"raster/general/cog_gcps.tif"}

TYPES = {
    "raster/general/RGB.byte.tif": "rgb",
    "raster/general/RGBA.uint16.tif": "rgba",
    "raster/general/alpha.tif": "rgba",
    "raster/general/m_3008501_ne_16_1_20110815.tif": "nir",
    "raster/general/image_colormap.tif": "categorical",
    "raster/general/above_cog.tif": "multispectral",
    "raster/dem/dem.tif": "dem",
    "raster/dem/N10W110.hgt.zip": "dem",
    "raster/flood/Spain_7370579_S1Hand.tif": "sar",
    "raster/flood/Spain_7370579_LabelHand.tif": "categorical",
    "raster/large/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif": "categorical",
    "raster/region/pop.tif": "continuous",
    "raster/rwanda/rwanda_landcover_2015_scheme_ii.tif": "categorical",
    "raster/rwanda/Rwanda_land_cover_prediction_2021_location_0.tif": "categorical",
    "raster/rwanda/Rwanda_satellite_image_2021_location_0.tif": "multispectral",
    "raster/scene/LC08_L2SP_005009_20150710_20200908_02_T2_SR_B4.TIF": "continuous",
}
FINDINGS = {
    "raster/general/all-nodata.tif": "ALL_NODATA",
    "raster/general/cog_int16.tif": "WIDE_INTEGER",
    "raster/general/image_nan.tif": "DOUBLE_PRECISION",
    "raster/general/image_missing_nodata.tif": "UNDECLARED_NODATA",
    "raster/general/cog_gcps.tif": "GCP_GEOREFERENCE",
    "raster/rwanda/Rwanda_land_cover_prediction_2021_location_0.tif": "INTEGERS_IN_FLOAT",
}


#: What the file needs to be said, because it does not say it itself.
OPTIONS = {
    "multidim/bcsd_obs_1999.nc": {"variable": "pr", "input_crs": "EPSG:4326"},
    "multidim/dataset_3d.nc": {"input_crs": "EPSG:4326"},
    "multidim/dataset_3d.zarr": {"input_crs": "EPSG:4326"},
}


def facts() -> dict[str, dict]:
    if not _FACTS.exists():
        return {}
    with _FACTS.open() as opened:
        known = json.load(opened)
    rasters = {path: fact for path, fact in known.items() if path.startswith(("raster/", "multidim/"))}
    return {path: fact for path, fact in rasters.items() if fact.get("kind") in ("raster", "unreadable", "zarr")}


ACCEPTED = sorted(facts().keys() - REFUSED.keys())


@pytest.fixture
def geo(shared_data: Path, db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path / "home") as running:
        yield running


def test_the_shared_data_is_there(shared_data: Path):
    assert len(ACCEPTED) > 40 and facts().keys() >= REFUSED.keys()


@pytest.mark.parametrize("path", ACCEPTED)
def test_a_good_raster_is_published_with_the_facts_gdal_measured(geo: Platform, path: str):
    fact, rectified = facts()[path], path in RESAMPLED
    status = geo.process(_DATA / path, options=OPTIONS.get(path))
    assert status["job_status"] == "completed", status["job_error"]
    geo.approve(status)
    item = geo.item(status)
    stac_pydantic.Item.model_validate(item)
    properties, bands = item["properties"], item["assets"]["data"]["raster:bands"]
    assert properties["app:published"] is True and properties["platform:access_level"] == "public"
    assert properties["app:raster_type"] == TYPES.get(path, properties["app:raster_type"])
    assert FINDINGS.get(path) in {None, *(finding["code"] for finding in properties["app:findings"])}
    if not rectified:
        assert properties["proj:shape"] == fact["size"][::-1] and len(bands) == fact["bands"]
        assert properties["app:colorinterp"][:6] == fact["colorinterp"]
        assert properties["proj:bbox"] == pytest.approx(measured_bounds(path))
    assert {band["data_type"] for band in bands} == set(fact["dtype"])
    if fact["crs"] and not fact["crs"].startswith("custom"):
        assert properties["proj:code"] == fact["crs"]
    assert same_number(properties.get("app:nodata"), fact["nodata"])
    validated = geo.api.query("SELECT result -> 'validation' FROM app.jobs")[0][0]
    assert validated["is_cog"] == fact.get("cog", False)
    [(container, blob, driver)] = geo.api.query("SELECT container, blob_path, source_format FROM app.cog_metadata")
    assert driver == fact["driver"]
    made = geo.api.runtime.storage.gdal_path(BlobName(container, blob))
    assert cog_validate(made, strict=True, quiet=True)[0]
    with rasterio.open(made) as written:
        assert (written.count == fact["bands"]) != rectified and written.crs is not None
        assert (ColorInterp.palette in written.colorinterp) == (fact["colorinterp"] == ["palette"])
    preview = next(link["href"] for link in item["links"] if link["rel"] == "preview")
    assert geo.public.get(preview).status_code == 200


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_a_bad_raster_is_refused_for_the_stated_reason_and_leaves_nothing(geo: Platform, path: str):
    if not _FACTS.exists():
        pytest.skip(f"{_DATA} is absent: this test needs real files that are not part of the repository")
    status = geo.process(_DATA / path)
    error = status["job_error"]
    assert (status["job_status"], error["code"]) == ("failed", REFUSED[path]), error
    assert Path(path).name in error["message"] and error["hint"]
    assert geo.api.query("SELECT count(*) FROM app.job_events WHERE event_type = 'task_retrying'") == [(0,)]
    assert geo.api.query("SELECT max(attempt) FROM app.tasks") == [(1,)]
    assert geo.left_behind() == {"blobs": 0, "rows": 0, "workdirs": 0}


@pytest.mark.parametrize("path", sorted(OPTIONS.keys() & REFUSED.keys()))
def test_what_was_refused_for_something_unsaid_is_published_once_it_is_said(geo: Platform, path: str):
    item = geo.publish(_DATA / path, options=OPTIONS[path])
    assert item["properties"]["proj:code"] == "EPSG:4326"


@pytest.mark.parametrize("path", [p for p in ACCEPTED if p.endswith(".byte.tif")])
def test_checksums_that_gdal_computes_are_equal_too(geo: Platform, path: str):
    item = geo.publish(_DATA / path)
    with rasterio.open(_DATA / path) as source, rasterio.open(stored(geo, item)) as written:
        assert [source.checksum(i) for i in source.indexes] == [written.checksum(i) for i in written.indexes]


def test_slices_of_many_dimensions_are_bands_that_say_their_time(geo: Platform):
    item = geo.publish(_DATA / "multidim/bcsd_obs_1999.nc", options={"subdataset": "tas", "input_crs": "EPSG:4326"})
    names = [band["name"] for band in item["assets"]["data"]["bands"]]
    assert len(names) == 12 and (names[0], names[-1]) == ("time=1999-01-31T00:00:00Z", "time=1999-12-31T00:00:00Z")
    properties = item["properties"]
    assert properties.get("datetime") is None and properties["start_datetime"] == "1999-01-31T00:00:00Z"
    assert properties["end_datetime"] == "1999-12-31T00:00:00Z" and properties["app:source_layer"] == "tas"


def test_a_zarr_store_whose_rows_run_north_keeps_every_pixel_and_is_north_up(geo: Platform):
    item = geo.publish(_DATA / "multidim/dataset_3d.zarr", options={"input_crs": "EPSG:4326"})
    assert "SOUTH_UP_GRID" in {finding["code"] for finding in item["properties"]["app:findings"]}
    assert [band["name"] for band in item["assets"]["data"]["bands"]] == [
        "time=2022-01-01T00:00:00Z",
        "time=2023-01-01T00:00:00Z",
    ]
    with rasterio.open(_DATA / "multidim/dataset_3d.zarr") as source, rasterio.open(stored(geo, item)) as written:
        assert source.transform.e > 0 > written.transform.e
        assert written.bounds == pytest.approx(
            (source.bounds.left, source.bounds.top, source.bounds.right, source.bounds.bottom)
        )
        assert (source.read()[:, ::-1] == written.read()).all()


def stored(geo: Platform, item: dict) -> str:
    [(container, path)] = geo.api.query(
        "SELECT container, blob_path FROM app.cog_metadata WHERE stac_item_id = %s", item["id"]
    )
    return geo.api.runtime.storage.gdal_path(BlobName(container, path))


def measured_bounds(path: str) -> list[float]:
    file = _DATA / path
    with rasterio.open(f"/vsizip/{file}/{file.stem}" if file.suffix == ".zip" else file) as dataset:
        corners = [dataset.transform * (x, y) for x in (0, dataset.width) for y in (0, dataset.height)]
    xs, ys = zip(*corners, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def same_number(ours: float | str | None, theirs: str | None) -> bool:
    return (
        ours is None
        if theirs is None
        else ours is not None and float(ours) == pytest.approx(float(theirs), nan_ok=True)
    )
