"""Outlines in degrees: densified, across the antimeridian, round a pole, beyond a projection's edge."""

from __future__ import annotations

import pytest
from rasterio.crs import CRS
from shapely.geometry import box, shape

from core.errors import InvalidRaster
from services.raster.footprint import footprint, on_earth

UTM60 = CRS.from_epsg(32660)


def test_a_geographic_grid_is_its_own_outline():
    outline, bbox = footprint(CRS.from_epsg(4326), (0.1, 0, 29, 0, -0.1, -1), 20, 10, "x")
    assert bbox == (29.0, -2.0, 31.0, -1.0)
    assert shape(outline).normalize().equals_exact(box(29, -2, 31, -1).normalize(), 1e-6) or shape(outline).equals(
        box(29, -2, 31, -1)
    )


def test_edges_are_densified_so_that_the_bbox_covers_their_bulge():
    # A Lambert grid centred on its meridian bulges north in the middle of its top edge.
    crs = CRS.from_proj4("+proj=lcc +lat_1=33 +lat_2=45 +lat_0=39 +lon_0=-96 +datum=WGS84")
    _, (_, _, _, north) = footprint(crs, (10_000, 0, -2_000_000, 0, -10_000, 1_000_000), 400, 200, "x")
    corner = footprint(crs, (1, 0, -2_000_000, 0, -1, 1_000_000), 1, 1, "x")[1][3]
    middle = footprint(crs, (1, 0, 0, 0, -1, 1_000_000), 1, 1, "x")[1][3]
    assert north > corner and north == pytest.approx(middle, abs=0.05)


def test_across_the_antimeridian_the_outline_has_two_parts_and_west_exceeds_east():
    outline, (west, south, east, north) = footprint(UTM60, (100, 0, 600_000, 0, -100, 5_800_000), 2400, 2400, "x")
    assert west > 0 > east and south < north
    geometry = shape(outline)
    assert geometry.geom_type == "MultiPolygon" and geometry.is_valid and len(geometry.geoms) == 2
    assert all(part.bounds[0] >= -180 and part.bounds[2] <= 180 for part in geometry.geoms)
    assert (
        max(part.bounds[2] for part in geometry.geoms) == 180 and min(part.bounds[0] for part in geometry.geoms) == -180
    )


def test_longitudes_from_0_to_360_become_the_whole_world():
    _, bbox = footprint(CRS.from_epsg(4326), (1, 0, 0, 0, -1, 90), 360, 180, "x")
    assert bbox == (-180.0, -90.0, 180.0, 90.0)


def test_longitudes_past_180_are_brought_back():
    _, bbox = footprint(CRS.from_epsg(4326), (1, 0, 200, 0, -1, 10), 20, 10, "x")
    assert bbox == (-160.0, 0.0, -140.0, 10.0)


@pytest.mark.parametrize(("epsg", "expected"), [(3031, -90.0), (3413, 90.0)])
def test_a_grid_over_a_pole_covers_all_longitudes(epsg, expected):
    _, (west, south, east, north) = footprint(
        CRS.from_epsg(epsg), (10_000, 0, -1_000_000, 0, -10_000, 1_000_000), 200, 200, "x"
    )
    assert (west, east) == (-180.0, 180.0) and expected in (south, north)
    assert 70 < abs(north if expected < 0 else south) < 85


def test_corners_outside_the_projection_leave_the_box_of_what_lies_inside():
    world = CRS.from_string("ESRI:54009")
    _, (west, south, east, north) = footprint(world, (360_800, 0, -18_040_000, 0, -180_400, 9_020_000), 100, 100, "x")
    assert west < -150 and east > 150 and south < -80 and north > 80


def test_a_grid_that_is_nowhere_is_refused():
    with pytest.raises(InvalidRaster, match="cannot be placed on Earth"):
        footprint(CRS.from_string("ESRI:54009"), (1, 0, 9e9, 0, -1, 9e9), 10, 10, "x")


def test_other_bodies_are_told_by_their_size():
    assert on_earth(CRS.from_epsg(4326)) and on_earth(CRS.from_epsg(3857))
    assert not on_earth(CRS.from_proj4("+proj=longlat +a=3396190 +b=3376200"))
