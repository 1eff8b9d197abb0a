"""Geometries made fit for a table."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely

from core.contracts.vector import FindingCode, GeometryOptions
from core.errors import InvalidGeometry
from services.vector import wkb
from services.vector.findings import Findings
from services.vector.geometry import GeometryTarget, cleaned


def column(*shapes: str | bytes | None) -> pa.Array:
    raw = [shapely.to_wkb(shapely.from_wkt(s), flavor="iso") if isinstance(s, str) else s for s in shapes]
    return pa.array(raw, pa.binary())


def clean(geometry: pa.Array, family: str, findings: Findings | None = None, **target: object) -> list[str]:
    defaults = {"has_z": False, "degrees": True, "transformer": None, "options": GeometryOptions()}
    full = GeometryTarget(family=family, **(defaults | target))
    ids = np.arange(1, len(geometry) + 1)
    result = cleaned(geometry, ids, full, findings if findings is not None else Findings())
    assert result.keep is None or result.keep.sum() == len(result.geometry)
    return [shapely.to_wkt(shapely.from_wkb(v), rounding_precision=6) for v in result.geometry.to_pylist()]


def codes(findings: Findings) -> dict[FindingCode, tuple[int, ...]]:
    return {f.code: f.feature_ids for f in findings.listed()}


def test_points_pass_with_the_bytes_they_had():
    geometry = column("POINT (0.1 0.2)", "POINT (179.99999999999997 -1)")
    target = GeometryTarget("Point", False, True, None, GeometryOptions())
    assert cleaned(geometry, np.array([1, 2]), target, Findings()).geometry.equals(geometry)


def test_null_and_empty_geometries_are_left_out_and_named():
    findings = Findings()
    assert clean(column("POINT (1 2)", None, "POINT EMPTY"), "Point", findings) == ["POINT (1 2)"]
    assert codes(findings) == {FindingCode.NULL_GEOMETRY: (2,), FindingCode.EMPTY_GEOMETRY: (3,)}


def test_single_polygons_are_wrapped_and_multipolygons_left_alone():
    findings = Findings()
    geometry = column("POLYGON ((0 0, 1 0, 1 1, 0 0))", "MULTIPOLYGON (((5 5, 6 5, 6 6, 5 5)))")
    assert clean(geometry, "MultiPolygon", findings) == [
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        "MULTIPOLYGON (((5 5, 6 5, 6 6, 5 5)))",
    ]
    assert codes(findings) == {FindingCode.PROMOTED_TO_MULTI: (1,)}


def test_a_bow_tie_is_repaired_to_the_two_triangles_it_encloses():
    findings = Findings()
    geometry = column("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))", "POLYGON ((0 0, 1 0, 1 1, 0 0))")
    (first, second) = clean(geometry, "MultiPolygon", findings)
    assert shapely.from_wkt(first).area == pytest.approx(2) and len(shapely.from_wkt(first).geoms) == 2
    assert second == "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))"
    assert codes(findings)[FindingCode.REPAIRED_GEOMETRY] == (1,)


def test_an_unclosed_ring_is_closed():
    ring = struct.pack("<BIIIdddddd", 1, 3, 1, 3, 0, 0, 1, 0, 1, 1)
    findings = Findings()
    assert clean(column(ring), "MultiPolygon", findings) == ["MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))"]
    assert codes(findings)[FindingCode.REPAIRED_GEOMETRY] == (1,)


def test_a_polygon_without_area_is_left_out_but_not_its_neighbour():
    findings = Findings()
    geometry = column("POLYGON ((0 0, 1 1, 0 0, 0 0))", "POLYGON ((0 0, 1 0, 1 1, 0 0))")
    assert len(clean(geometry, "MultiPolygon", findings)) == 1
    assert codes(findings)[FindingCode.UNREADABLE_GEOMETRY] == (1,)


@pytest.mark.parametrize("raw", [b"", b"\x01\x03", b"\x07garbage", struct.pack("<BIdd", 1, 1, float("nan"), 2)])
def test_bytes_that_are_no_geometry_are_left_out_but_not_their_neighbours(raw):
    assert clean(column(raw, "POINT (1 2)"), "Point") == ["POINT (1 2)"]


def test_a_line_without_length_keeps_its_row():
    findings = Findings()
    assert clean(column("LINESTRING (1 1, 1 1)"), "MultiLineString", findings) == ["MULTILINESTRING ((1 1, 1 1))"]
    assert FindingCode.DEGENERATE_LINE in codes(findings)


def test_rings_keep_their_direction():
    clockwise = "MULTIPOLYGON (((0 0, 0 1, 1 1, 0 0)))"
    assert clean(column(clockwise), "MultiPolygon") == [clockwise]


def test_flat_geometries_among_high_ones_get_height_zero():
    findings = Findings()
    geometry = column("POINT Z (1 2 3)", "POINT (4 5)")
    assert clean(geometry, "Point", findings, has_z=True) == ["POINT Z (1 2 3)", "POINT Z (4 5 0)"]
    assert codes(findings) == {FindingCode.Z_FILLED: (2,)}


def test_measures_are_dropped_and_heights_kept():
    findings = Findings()
    geometry = column("LINESTRING ZM (0 0 1 9, 1 1 2 9)", "LINESTRING Z (0 0 1, 1 1 2)")
    assert clean(geometry, "MultiLineString", findings, has_z=True) == ["MULTILINESTRING Z ((0 0 1, 1 1 2))"] * 2
    assert codes(findings)[FindingCode.M_DROPPED] == (1,)


def test_promotion_keeps_heights():
    assert clean(column("POLYGON Z ((0 0 7, 1 0 8, 1 1 9, 0 0 7))"), "MultiPolygon", has_z=True) == [
        "MULTIPOLYGON Z (((0 0 7, 1 0 8, 1 1 9, 0 0 7)))"
    ]


def test_a_geometry_of_another_family_is_named_not_stored():
    with pytest.raises(InvalidGeometry, match="Feature 2 is a Point"):
        clean(column("POLYGON ((0 0, 1 0, 1 1, 0 0))", "POINT (1 1)"), "MultiPolygon")


@pytest.mark.parametrize("family", ["Point", "MultiPoint"])
def test_reprojection_is_that_of_proj_in_x_y_order(family):
    # UTM 35S false origin: easting 500000 is the central meridian 27 E, northing 10000000 the equator.
    transformer = pyproj.Transformer.from_crs("EPSG:32735", "EPSG:4326", always_xy=True)
    (text,) = clean(column("POINT (500000 10000000)"), family, transformer=transformer)
    point = shapely.from_wkt(text)
    found = point.geoms[0] if family == "MultiPoint" else point
    assert (found.x, found.y) == pytest.approx((27, 0), abs=1e-9)


def test_reprojection_keeps_heights_as_they_are():
    transformer = pyproj.Transformer.from_crs("EPSG:32735", "EPSG:4326", always_xy=True)
    (text,) = clean(column("POINT Z (500000 10000000 1234.5)"), "Point", has_z=True, transformer=transformer)
    assert shapely.from_wkt(text).z == 1234.5


def test_coordinates_that_cannot_be_reprojected_are_left_out():
    transformer = pyproj.Transformer.from_crs("EPSG:32735", "EPSG:4326", always_xy=True)
    findings = Findings()
    geometry = column("POINT (500000 10000000)", "POINT (1e30 1e30)")
    assert len(clean(geometry, "Point", findings, transformer=transformer)) == 1
    assert codes(findings)[FindingCode.UNREADABLE_GEOMETRY] == (2,)


def test_coordinates_beyond_the_globe_are_kept_and_reported():
    findings = Findings()
    assert len(clean(column("POINT (190 0)", "POINT (180.00000000000003 -90)"), "Point", findings)) == 2
    assert codes(findings) == {FindingCode.COORDINATES_OUT_OF_RANGE: (1,)}


def test_simplify_and_quantize_do_what_was_asked():
    options = GeometryOptions.model_validate({"simplify": {"tolerance": 0.1}})
    assert clean(column("LINESTRING (0 0, 1 0.01, 2 0)"), "MultiLineString", options=options) == [
        "MULTILINESTRING ((0 0, 2 0))"
    ]
    options = GeometryOptions.model_validate({"quantize": {"grid_size": 0.5}})
    assert clean(column("POINT (0.6 1.1)"), "Point", options=options) == ["POINT (0.5 1)"]


def test_type_codes_are_read_in_both_byte_orders_and_both_ways_to_say_z():
    shapes = [shapely.Point(1, 2), shapely.Point(1, 2, 3)]
    raw = [shapely.to_wkb(s, byte_order=o, flavor=f) for s in shapes for o in (0, 1) for f in ("iso", "extended")]
    found, has_z, _ = wkb.type_codes(pa.array([None, *raw], pa.binary()).slice(1))
    assert found.tolist() == [1] * 8 and has_z.tolist() == [False] * 4 + [True] * 4
