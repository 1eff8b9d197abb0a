"""The demo's own data is what it says it is."""

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

from core.errors import ConfigurationError
from services import samples

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    vector, raster = samples.make_samples(tmp_path_factory.mktemp("samples") / "new")
    return vector, raster


def test_the_vector_is_a_zipped_shapefile_of_the_worlds_countries(made):
    vector, _ = made
    assert vector.name == "naturalearth_lowres.zip"
    assert {Path(n).suffix for n in zipfile.ZipFile(vector).namelist()} >= {".shp", ".shx", ".dbf", ".prj"}
    countries = geopandas.read_file(f"zip://{vector}").set_index("iso_a3")
    assert countries.crs.to_epsg() == 4326
    assert len(countries) == 177
    assert countries.loc["BGD", "name"] == "Bangladesh"


# The World Bank's figures for about 2017, rounded; outlines at 1:110 million are coarse, hence 15 %.
@pytest.mark.parametrize(
    ("lon", "lat", "published"),
    [(90.3, 24.5, 1230), (78.0, 22.0, 450), (2.5, 47.0, 122), (-102.0, 40.0, 35.6), (134.0, -25.0, 3.2)],
    ids=["Bangladesh", "India", "France", "United States", "Australia"],
)
def test_the_raster_holds_each_countrys_population_density(made, lon, lat, published):
    with rasterio.open(made[1]) as raster:
        (value,) = next(raster.sample([(lon, lat)]))
    assert value == pytest.approx(published, rel=0.15)


def test_the_raster_is_a_plain_georeferenced_file_with_unit_and_nodata(made):
    with rasterio.open(made[1]) as raster:
        assert raster.crs.to_epsg() == 4326
        assert tuple(raster.bounds) == pytest.approx((-180, -90, 180, 90))
        assert (raster.width, raster.height, raster.count, raster.dtypes) == (3600, 1800, 1, ("float32",))
        assert (raster.nodata, raster.units, raster.descriptions) == (-9999, ("people/km2",), ("population density",))
        assert raster.compression is None
        assert not raster.overviews(1)
        values = raster.read(1, masked=True)
        row, column = raster.index(-30.0, 30.0)
    assert values.mask[row, column], "the middle of the Atlantic has no value"
    # In degrees, not in area: a third of the grid is land once Antarctica is stretched to the pole.
    assert 0.25 < 1 - values.mask.mean() < 0.40
    assert np.isfinite(values.compressed()).all()
    assert values.min() >= 0


def test_the_same_bytes_come_out_every_time_and_soon(made, tmp_path):
    began = time.monotonic()
    again = samples.make_samples(tmp_path)
    assert time.monotonic() - began < 15
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in made]
    assert samples.make_samples(tmp_path) == again


def test_a_library_that_carries_the_data_no_longer_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "_LAYER", "gone")
    with pytest.raises(ConfigurationError, match="pyogrio") as caught:
        samples.make_samples(tmp_path)
    assert "demo FILE" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_importing_the_module_loads_no_heavy_library():
    code = (
        "import sys, services.samples;"
        "sys.exit(bool({'rasterio', 'geopandas', 'pyogrio', 'shapely', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
