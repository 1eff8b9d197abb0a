"""Geometries made fit for a table."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely

from core.contracts.vector import GeometryOptions, OnInvalid
from core.contracts.vector_findings import FindingCode
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


def test_points_beside_features_without_geometry_keep_their_bytes_and_places():
    points = column("POINT (0.1 0.2)", "POINT (179.99999999999997 -1)", "POINT (200 3)")
    geometry = pa.array([None, *points.to_pylist()[:2], None, points[2].as_py(), None], pa.binary())
    target, findings = GeometryTarget("Point", False, True, None, GeometryOptions()), Findings()
    clean = cleaned(geometry, np.arange(11, 17), target, findings)
    assert clean.geometry.equals(points) and clean.bounds == (0.1, -1, 200, 3)
    assert clean.keep.tolist() == [False, True, True, False, True, False]
    assert codes(findings) == {
        FindingCode.NULL_GEOMETRY: (11, 14, 16),
        FindingCode.COORDINATES_OUT_OF_RANGE: (15,),
    }


@pytest.mark.parametrize("family", ["Point", "MultiPolygon", "Geometry"])
def test_a_batch_without_any_geometry_leaves_nothing(family):
    findings = Findings()
    assert clean(column(None, None), family, findings) == []
    assert codes(findings) == {FindingCode.NULL_GEOMETRY: (1, 2)}


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


def test_a_geometry_of_another_family_is_left_out_and_its_neighbours_are_not():
    findings = Findings()
    assert len(clean(column("POLYGON ((0 0, 1 0, 1 1, 0 0))", "POINT (1 1)"), "MultiPolygon", findings)) == 1
    assert codes(findings)[FindingCode.UNLIKE_GEOMETRY] == (2,)


@pytest.mark.parametrize(("on_invalid", "code"), [("skip", "invalid_skipped"), ("repair", "repaired_geometry")])
def test_one_bad_feature_never_loses_the_others(on_invalid, code):
    findings = Findings()
    geometry = column("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))", "POLYGON ((0 0, 1 0, 1 1, 0 0))")
    kept = clean(geometry, "MultiPolygon", findings, on_invalid=OnInvalid(on_invalid))
    assert "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))" in kept
    assert codes(findings)[FindingCode(code)] == (1,)


def test_the_first_invalid_feature_and_its_fault_are_named_when_none_is_wanted():
    geometry = column("POLYGON ((0 0, 1 0, 1 1, 0 0))", "POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))")
    with pytest.raises(InvalidGeometry, match=r"Feature 2 .*Self-intersection.*1 1"):
        clean(geometry, "MultiPolygon", on_invalid=OnInvalid.FAIL)


def test_a_repair_that_changes_the_area_says_by_how_much():
    # A square of area 4 with a spike of no width, and a bow-tie whose signed area is 0 and whose triangles have 2.
    findings = Findings()
    geometry = column("POLYGON ((0 0, 2 0, 2 5, 2 2, 0 2, 0 0))", "POLYGON ((0 0, 4 0, 4 2, 2 -1, 0 2, 0 0))")
    clean(geometry, "MultiPolygon", findings)
    found = {f.code: f for f in findings.listed()}
    assert found[FindingCode.REPAIRED_GEOMETRY].feature_ids == (1, 2)
    changed = found[FindingCode.AREA_CHANGED]
    # Signed area of the second by the shoelace formula: 2. Its three triangles: 2 of 4/3 each above, 2/3 below.
    assert changed.feature_ids == (2,) and changed.values == pytest.approx([(2 * 4 / 3 + 2 / 3 - 2) / 2])


def test_measures_are_kept_where_asked_through_reprojection_and_heights():
    transformer = pyproj.Transformer.from_crs("EPSG:32735", "EPSG:4326", always_xy=True)
    findings = Findings()
    geometry = column("LINESTRING ZM (500000 10000000 7 1.5, 600000 10000000 8 2.5)")
    (text,) = clean(geometry, "MultiLineString", findings, has_z=True, has_m=True, transformer=transformer)
    (line,) = shapely.from_wkt(text).geoms
    found = shapely.get_coordinates(line, include_z=True, include_m=True)
    assert found[:, 2:].tolist() == [[7, 1.5], [8, 2.5]]
    assert found[0, :2].tolist() == pytest.approx([27, 0], abs=1e-6)
    assert FindingCode.M_FILLED not in codes(findings)


def test_measures_that_a_repair_loses_are_zero_and_reported():
    findings = Findings()
    geometry = column("POLYGON M ((0 0 1, 2 2 2, 2 0 3, 0 2 4, 0 0 1))", "POLYGON M ((0 0 1, 1 0 2, 1 1 3, 0 0 1))")
    first, second = clean(geometry, "MultiPolygon", findings, has_m=True)
    assert set(shapely.get_coordinates(shapely.from_wkt(first), include_m=True)[:, 2]) == {0}
    assert second == "MULTIPOLYGON M (((0 0 1, 1 0 2, 1 1 3, 0 0 1)))"
    assert codes(findings)[FindingCode.M_FILLED] == (1,)


def test_unlike_types_in_one_column_of_collections_are_wrapped():
    found = clean(
        column("POINT (1 2)", "LINESTRING (0 0, 1 1)", "GEOMETRYCOLLECTION (POINT (3 4))"), "GeometryCollection"
    )
    assert found == [
        "GEOMETRYCOLLECTION (POINT (1 2))",
        "GEOMETRYCOLLECTION (LINESTRING (0 0, 1 1))",
        "GEOMETRYCOLLECTION (POINT (3 4))",
    ]


def test_rings_that_run_the_wrong_way_are_reported_for_geojson_and_turned_when_asked():
    clockwise = column("POLYGON ((0 0, 0 4, 4 4, 4 0, 0 0), (1 1, 2 1, 2 2, 1 1))")
    findings = Findings()
    (text,) = clean(clockwise, "MultiPolygon", findings, geojson=True)
    assert codes(findings)[FindingCode.RING_ORIENTATION] == (1,)
    assert text == "MULTIPOLYGON (((0 0, 0 4, 4 4, 4 0, 0 0), (1 1, 2 1, 2 2, 1 1)))"
    (text,) = clean(clockwise, "MultiPolygon", options=GeometryOptions(orient_rings=True))
    exterior, hole = shapely.get_rings(shapely.get_parts(shapely.from_wkt(text)))
    assert exterior.is_ccw and not hole.is_ccw


def test_a_vertex_twice_in_a_row_is_reported_for_geojson_but_not_two_parts_that_touch():
    findings = Findings()
    touching = "MULTILINESTRING ((0 0, 1 1), (1 1, 2 0))"
    clean(column("LINESTRING (0 0, 1 1, 1 1, 2 2)", touching), "MultiLineString", findings, geojson=True)
    assert codes(findings)[FindingCode.REPEATED_POINTS] == (1,)


def test_swapped_coordinates_are_suspected_where_only_the_exchange_lies_on_the_globe():
    findings = Findings()
    clean(column("POINT (-2 130)", "POINT (190 10)", "POINT (30 -2)"), "Point", findings)
    assert codes(findings)[FindingCode.SWAPPED_COORDINATES] == (1,)
    findings = Findings()
    clean(column("LINESTRING (-2 130, -3 131)"), "MultiLineString", findings)
    assert codes(findings)[FindingCode.SWAPPED_COORDINATES] == (1,)


CROSSING = "POLYGON ((179 0, -179 0, -179 1, 179 1, 179 0))"


def test_what_crosses_the_antimeridian_is_reported_and_kept():
    findings = Findings()
    world = "POLYGON ((-180 -90, 180 -90, 180 90, -180 90, -180 -90))"
    assert clean(column(CROSSING, world), "MultiPolygon", findings)[0] == f"MULTIPOLYGON ({CROSSING[8:]})"
    assert codes(findings)[FindingCode.CROSSES_ANTIMERIDIAN] == (1,)


@pytest.mark.parametrize("text", [CROSSING, "POLYGON ((179 0, 181 0, 181 1, 179 1, 179 0))"])
def test_what_crosses_the_antimeridian_is_cut_there_when_asked(text):
    findings = Findings()
    (text,) = clean(column(text), "MultiPolygon", findings, options=GeometryOptions(split_antimeridian=True))
    parts = sorted(p.bounds for p in shapely.from_wkt(text).geoms)
    assert parts == [(-180, 0, -179, 1), (179, 0, 180, 1)]
    assert codes(findings)[FindingCode.SPLIT_AT_ANTIMERIDIAN] == (1,)
    assert FindingCode.COORDINATES_OUT_OF_RANGE not in codes(findings)


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
