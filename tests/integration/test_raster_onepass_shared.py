"""On every shared raster that the one-pass writer takes on, its COG is the one GDAL's COG driver makes."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from tests.support.cogs import assert_same, both, profile

_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "raster"
_FILES = sorted(p.relative_to(_FOLDER).as_posix() for p in _FOLDER.rglob("*.tif") if "broken" not in p.parts)

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]

#: Left to the driver; and one whose 1.3 thousand million pixels would take the comparison ten minutes.
BY_DRIVER = {
    "cogcheck/image_no_overview.tif",
    "cogcheck/image_rioCOG_gdal3.1.tif",
    "general/201404_13SED190110_201404_0x1500m_CL_1_mask.tif",
    "general/RGBA.uint16.tif",
    "general/alpha.tif",
    "general/cint16.tif",
    "general/cog_gcps.tif",
}
TOO_LONG = {"large/ESA_WorldCover_10m_2021_v200_N00E006_Map.tif"}


@pytest.mark.parametrize("name", [name for name in _FILES if name not in TOO_LONG])
def test_a_shared_raster_becomes_the_same_cog(name, tmp_path):
    with rasterio.Env(GDAL_PAM_ENABLED=False), rasterio.open(_FOLDER / name) as source:
        classes = source.colorinterp[0].name == "palette"
        chosen = profile(resampling="MODE", predictor="NO") if classes else profile()
        made = both(_FOLDER / name, chosen, tmp_path)
    assert isinstance(made, list) == (name in BY_DRIVER), made
    if not isinstance(made, list):
        assert_same(*made)
