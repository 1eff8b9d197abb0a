"""Which CRS the numbers are in."""

from __future__ import annotations

import pyproj
import pytest

from core.contracts.vector_findings import FindingCode
from core.errors import CrsMismatch, CrsMissing, InvalidRequest
from services.vector.findings import Findings
from services.vector.reference_systems import (
    StatedCrs,
    lonlat_bounds,
    report_accuracy,
    report_place,
    source_crs,
    transformation,
)

KIGALI = (30.0, -2.0, 30.2, -1.9)
UTM = (500_000.0, 9_780_000.0, 510_000.0, 9_790_000.0)


def decide(stated: str | None, given: str | None = None, bounds=None, *, implied=False, findings=None) -> str:
    return source_crs(StatedCrs(stated, implied), given, bounds, "c/f.shp", findings or Findings())


def test_the_file_is_believed():
    assert decide("EPSG:32735") == "EPSG:32735"


def test_numbers_that_look_like_degrees_are_taken_as_such_and_reported():
    findings = Findings()
    assert decide(None, bounds=KIGALI, findings=findings) == "EPSG:4326"
    assert [f.code for f in findings.listed()] == [FindingCode.CRS_ASSUMED]


def test_projected_numbers_without_a_crs_are_refused_with_the_numbers():
    with pytest.raises(CrsMissing, match="500000 to 510000"):
        decide(None, bounds=UTM)


def test_the_request_helps_out_and_that_is_reported():
    findings = Findings()
    assert decide(None, "EPSG:32735", findings=findings) == "EPSG:32735"
    assert [f.code for f in findings.listed()] == [FindingCode.CRS_GIVEN]


def test_a_request_that_contradicts_the_file_is_refused():
    with pytest.raises(CrsMismatch, match=r"states EPSG:4326.*EPSG:32735"):
        decide("EPSG:4326", "EPSG:32735")


def test_a_request_that_repeats_the_file_in_other_words_is_fine():
    assert decide("EPSG:4326", "OGC:CRS84") == "EPSG:4326"


def test_the_request_overrides_what_only_the_format_implies():
    assert decide("EPSG:4326", "EPSG:32735", implied=True) == "EPSG:32735"


def test_a_request_for_an_unknown_crs_is_refused():
    with pytest.raises(InvalidRequest, match="EPSG:999999"):
        decide(None, "EPSG:999999")


def test_of_a_compound_crs_the_horizontal_part_counts():
    assert decide("EPSG:32610+5703") == "EPSG:32610"
    assert decide("EPSG:4979") == "EPSG:4326"


def test_local_coordinates_are_no_place_on_earth():
    local = 'ENGCRS["site",EDATUM["peg"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
    with pytest.raises(CrsMissing, match="site"):
        decide(local)


def test_nothing_is_transformed_between_two_names_of_one_crs():
    assert transformation("OGC:CRS84", "EPSG:4326") is None
    assert transformation(pyproj.CRS(4326).to_wkt(), "EPSG:4326") is None


def test_a_box_across_the_antimeridian_becomes_all_longitudes():
    west, _, east, _ = lonlat_bounds((300_000, 8_000_000, 1_300_000, 8_100_000), "EPSG:32760")
    assert (west, east) == (-180, 180)


def test_a_box_never_leaves_the_globe():
    assert lonlat_bounds((-190, -90.00000000000003, 10, 5), "EPSG:4326") == (-180, -90, 10, 5)


def test_a_box_without_a_place_on_earth_is_not_clamped_to_one():
    assert lonlat_bounds((1e9, 1e9, 2e9, 2e9), "EPSG:32735") == (-180, -90, 180, 90)


def test_a_change_of_datum_says_how_exact_it_is_and_a_change_of_projection_says_nothing():
    findings = Findings()
    report_accuracy("EPSG:32735", "EPSG:4326", (29, -3, 31, -1), findings)
    assert findings.listed() == ()
    # EPSG:1314, OSGB36 to WGS 84 by seven parameters, is stated to be good to 2 m; the grid OSTN15 is not in PROJ.
    report_accuracy("EPSG:27700", "EPSG:4326", (-3, 51, -1, 53), findings)
    (found,) = findings.listed()
    assert found.code is FindingCode.TRANSFORMATION_ACCURACY
    assert "2 m" in found.message and "OSTN15" in found.message


def test_a_datum_of_unknown_shift_is_reported():
    findings = Findings()
    report_accuracy("+proj=longlat +ellps=clrk66 +no_defs", "EPSG:4326", None, findings)
    assert [f.code for f in findings.listed()] == [FindingCode.BALLPARK_TRANSFORMATION]


def test_eastings_and_northings_that_changed_places_are_suspected():
    findings = Findings()
    # Lambert 93 is for France; Paris is at 652,000 E, 6,862,000 N.
    report_place("EPSG:2154", (650000, 6860000, 655000, 6865000), 5, findings)
    assert findings.listed() == ()
    report_place("EPSG:2154", (6860000, 650000, 6865000, 655000), 5, findings)
    (found,) = findings.listed()
    assert (found.code, found.count) == (FindingCode.SWAPPED_COORDINATES, 5)
