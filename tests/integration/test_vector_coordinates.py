"""Coordinates in columns: what is wrong with a few rows is those rows' fault, and said so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.contracts.vector_findings import FindingCode
from core.errors import CrsMissing, NoFeatures
from tests.support.vector import VectorRig


@pytest.fixture
def rig(db: str, tmp_path: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "p.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def noticed(done) -> dict[FindingCode, tuple[int, tuple[int, ...]]]:
    return {f.code: (f.count, f.feature_ids) for f in done.result.findings}


def test_a_row_that_lies_nowhere_does_not_lose_the_others(rig, tmp_path):
    done = rig.load(csv(tmp_path, "n,lat,lon", "1,-2,30", "2,-999,-999", "3,-2.5,30.5"))
    assert rig.query("select n, st_astext(geom) from geo.t order by id") == [
        (1, "POINT(30 -2)"),
        (2, "POINT(-999 -999)"),
        (3, "POINT(30.5 -2.5)"),
    ]
    found = noticed(done)
    assert found[FindingCode.COORDINATES_OUT_OF_RANGE] == (1, (2,))
    assert FindingCode.CRS_ASSUMED in found


def test_numbers_of_which_most_are_no_degrees_are_not_guessed_to_be(rig, tmp_path):
    with pytest.raises(CrsMissing, match=r"p\.csv states no .* x 30 to 600000") as refused:
        rig.load(csv(tmp_path, "y,x", "-2,30", "9800000,500000", "9700000,600000"))
    assert "input_crs" in (refused.value.hint or "")


def test_latitudes_and_longitudes_that_changed_places_are_suspected_where_no_crs_fits(rig, tmp_path):
    with pytest.raises(CrsMissing, match="with x and y exchanged they would be") as refused:
        rig.load(csv(tmp_path, "lat,lon", "130.5,-2", "131.5,-3"))
    assert refused.value.hint == "Exchange latitude and longitude."


@pytest.mark.parametrize(
    "lines",
    [
        ("n,lat,lon", "1,-2,30", "2,north,30", "3,,30"),
        ("n,wkt", "1,POINT(30 -2)", "2,POINT(30", "3,"),
        ("n,wkb", "1,01010000000000000000003e4000000000000000c0", "2,01zz", "3,"),
    ],
)
def test_what_cannot_be_read_is_told_from_what_is_missing(rig, tmp_path, lines):
    done = rig.load(csv(tmp_path, *lines))
    assert rig.query("select n, st_astext(geom) from geo.t") == [(1, "POINT(30 -2)")]
    found = noticed(done)
    assert found[FindingCode.UNREADABLE_GEOMETRY] == (1, (2,))
    assert found[FindingCode.NULL_GEOMETRY] == (1, (3,))


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        (("n;lat;lon", "1;-2,5;30,5"), "lat and lon"),
        (("n;wkt", "1;30 -2"), "wkt"),
    ],
)
def test_columns_from_which_nothing_can_be_read_are_named_with_how_to_write_them(rig, tmp_path, lines, where):
    with pytest.raises(NoFeatures, match=rf"1 features of .*p\.csv has a geometry that can be read from {where}") as no:
        rig.load(csv(tmp_path, *lines))
    assert "decimal point" in (no.value.hint or "")
