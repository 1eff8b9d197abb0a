"""What does the demo publish when nobody gives it a file? Real data, without network, from an installed library."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConfigurationError

if TYPE_CHECKING:
    import geopandas
    import numpy as np
    from numpy.typing import NDArray

_LAYER = "naturalearth_lowres"
#: Degrees per pixel: 3600 x 1800 for the world, enough for a COG with overviews.
_RESOLUTION = 0.1
_NODATA = -9999.0


def make_samples(folder: Path) -> list[Path]:
    """Countries as a zipped shapefile and their population density as a GeoTIFF, both of the public domain.

    The same bytes on every call; files of those names are replaced. Raises ConfigurationError when pyogrio no longer
    carries the Natural Earth data that both are made from.
    """
    countries = _carried_countries()
    folder.mkdir(parents=True, exist_ok=True)
    vector, raster = folder / f"{_LAYER}.zip", folder / "population_density.tif"
    _pack(countries, vector)
    _write_density(countries, raster)
    return [vector, raster]


def _carried_countries() -> Path:
    """The shapefile in pyogrio's own test data: 177 countries, scale 1:110 million, Natural Earth."""
    package = importlib.util.find_spec("pyogrio")
    if package is not None and package.origin is not None:
        shapefile = Path(package.origin).parent / "tests" / "fixtures" / _LAYER / f"{_LAYER}.shp"
        if all(shapefile.with_suffix(suffix).is_file() for suffix in (".shp", ".shx", ".dbf", ".prj")):
            return shapefile
    raise ConfigurationError(
        "The installed pyogrio does not carry the Natural Earth countries that the sample data is made from.",
        hint="Name a file of your own: geomachine demo FILE.",
    )


def _pack(shapefile: Path, target: Path) -> None:
    """Zip the shapefile's parts; without their dates, so that the archive's bytes depend on their content only."""
    with zipfile.ZipFile(target, "w") as archive:
        for part in sorted(shapefile.parent.glob(f"{_LAYER}.*")):
            archive.writestr(zipfile.ZipInfo(part.name), part.read_bytes())


def _write_density(shapefile: Path, target: Path) -> None:
    """People per square kilometre, one value per country; striped and uncompressed, so that a COG is worth making."""
    import geopandas
    import rasterio
    from rasterio.transform import from_origin

    countries = geopandas.read_file(shapefile)
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 1,
        "width": round(360 / _RESOLUTION),
        "height": round(180 / _RESOLUTION),
        "crs": countries.crs,
        "transform": from_origin(-180, 90, _RESOLUTION, _RESOLUTION),
        "nodata": _NODATA,
    }
    with rasterio.open(target, "w", **profile) as raster:
        raster.write(_density(countries, (raster.height, raster.width), raster.transform), 1)
        raster.set_band_description(1, "population density")
        raster.set_band_unit(1, "people/km2")
        raster.update_tags(
            TIFFTAG_IMAGEDESCRIPTION="Population density of countries (estimate divided by area), Natural Earth",
            TIFFTAG_COPYRIGHT="Public domain",
        )


def _density(countries: geopandas.GeoDataFrame, shape: tuple[int, int], transform: object) -> NDArray[np.float32]:
    """Each country's estimate over its area on the ellipsoid, burnt into the grid; the sea is nodata."""
    from rasterio.features import rasterize

    ellipsoid = countries.crs.get_geod()
    areas = (abs(ellipsoid.geometry_area_perimeter(country)[0]) / 1e6 for country in countries.geometry)
    values = [people / area for people, area in zip(countries["pop_est"], areas, strict=True)]
    burnt: NDArray[np.float32] = rasterize(
        zip(countries.geometry, values, strict=True), shape, fill=_NODATA, transform=transform, dtype="float32"
    )
    return burnt
