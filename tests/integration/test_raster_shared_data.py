"""Every raster of the shared data ends as GDAL's own measurements say: a valid COG, or the stated refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rasterio
import stac_pydantic
from rio_cogeo.cogeo import cog_validate

from core.errors import GeomachineError
from tests.support.raster import RasterRig

pytestmark = pytest.mark.shared_data

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


def facts() -> dict[str, dict]:
    if not _FACTS.exists():
        return {}
    with _FACTS.open() as opened:
        known = json.load(opened)
    rasters = {path: fact for path, fact in known.items() if path.startswith(("raster/", "multidim/"))}
    return {path: fact for path, fact in rasters.items() if fact.get("kind") in ("raster", "unreadable")}


ACCEPTED = sorted(facts().keys() - REFUSED.keys())


@pytest.fixture
def rig(tmp_path: Path) -> RasterRig:
    return RasterRig(tmp_path)


def test_the_shared_data_is_there(shared_data: Path):
    assert len(ACCEPTED) > 40 and facts().keys() >= REFUSED.keys()


@pytest.mark.parametrize("path", ACCEPTED)
def test_a_good_raster_becomes_a_cog_with_the_facts_gdal_measured(rig: RasterRig, path: str):
    fact = facts()[path]
    done = rig.run(_DATA / path)
    found, made = done.inspection, done.made.cogs[0]
    rectified = path in RESAMPLED
    assert found.driver == fact["driver"] and len(found.bands) == fact["bands"]
    if not rectified:
        assert [found.grid.width, found.grid.height] == fact["size"]
    assert {band.dtype for band in found.bands} == set(fact["dtype"])
    assert [band.color for band in found.bands[:6]] == fact["colorinterp"]
    if fact["crs"] and not fact["crs"].startswith("custom"):
        assert found.grid.crs == fact["crs"]
    assert same_number(found.bands[0].nodata, fact["nodata"])
    assert found.is_cog == fact.get("cog", False)
    assert found.raster_type == TYPES.get(path, found.raster_type)
    assert FINDINGS.get(path) in {None, *(finding.code for finding in found.findings)}
    assert made.lossless != rectified
    assert cog_validate(rig.storage.gdal_path(made.blob), strict=True, quiet=True)[0]
    stac_pydantic.Item.model_validate(done.item)
    with rig.open(done) as written:
        assert (written.count == fact["bands"]) != rectified and written.crs is not None
        if fact["colorinterp"] == ["palette"]:
            assert written.colormap(1)


@pytest.mark.parametrize("path", sorted(REFUSED))
def test_a_bad_raster_is_refused_for_the_stated_reason_and_leaves_nothing(rig: RasterRig, path: str):
    if not _FACTS.exists():
        pytest.skip(f"{_DATA} is absent: this test needs real files that are not part of the repository")
    with pytest.raises(GeomachineError) as refused:
        rig.run(_DATA / path)
    assert refused.value.code == REFUSED[path], refused.value
    assert Path(path).name in str(refused.value) and refused.value.hint
    assert rig.stored() == []


@pytest.mark.parametrize("path", [p for p in ACCEPTED if p.endswith(".byte.tif")])
def test_checksums_that_gdal_computes_are_equal_too(rig: RasterRig, path: str):
    with rasterio.open(_DATA / path) as source, rig.open(rig.run(_DATA / path)) as written:
        assert [source.checksum(i) for i in source.indexes] == [written.checksum(i) for i in written.indexes]


def same_number(ours: float | str | None, theirs: str | None) -> bool:
    return ours is None if theirs is None else ours is not None and str(float(ours)) == str(float(theirs))
