"""What a GeoJSON file says is stored or reported, whichever reader it needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.contracts.vector_findings import Finding, FindingCode
from core.errors import UnsupportedFormat
from tests.support.vector import VectorRig, point


@pytest.fixture
def rig(db: str, tmp_path: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def feature(properties: dict, **members: object) -> dict:
    return {"type": "Feature", "properties": properties, "geometry": point(), **members}


def collection(folder: Path, *features: dict, **members: object) -> Path:
    path = folder / "f.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features), **members}))
    return path


#: What the fast reader leaves to GDAL.
STATED = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4326"}}}


def finding(done, code: FindingCode) -> Finding:
    return next(f for f in done.result.findings if f.code is code)


@pytest.mark.parametrize("members", [{}, STATED])
@pytest.mark.parametrize("ids", [(1007, 1008), ("x-7", "x-8")])
def test_ids_of_features_are_kept(rig, tmp_path, members, ids):
    rig.load(collection(tmp_path, *(feature({"a": i}, id=i) for i in ids), **members))
    assert rig.query("select id, id_src, a from geo.t order by id") == [(1, ids[0], ids[0]), (2, ids[1], ids[1])]


@pytest.mark.parametrize("members", [{}, STATED])
def test_ids_are_kept_beside_a_property_of_that_name(rig, tmp_path, members):
    rig.load(collection(tmp_path, *(feature({"id": f"p{i}"}, id=i) for i in (70, 71)), **members))
    assert rig.query("select feature_id, id_src from geo.t order by id") == [(70, "p70"), (71, "p71")]


@pytest.mark.parametrize("members", [{}, STATED])
@pytest.mark.parametrize("day", ["2023-02-29", "2024-04-31", "2024-13-01"])
def test_a_day_that_no_calendar_has_does_not_become_another(rig, tmp_path, members, day):
    done = rig.load(collection(tmp_path, feature({"d": "2024-02-29"}), feature({"d": day}), **members))
    assert rig.query("select d from geo.t order by id") == [("2024-02-29",), (day,)]
    if "-13-" not in day:  # of which no reader ever makes a date
        assert f"d has '{day}'" in finding(done, FindingCode.READER_WARNING).message


@pytest.mark.parametrize("members", [{}, STATED])
def test_times_of_which_some_have_a_zone_do_not_lose_it(rig, tmp_path, members):
    texts = ["2024-01-01T10:00:00", "2024-01-01T10:00:00+02:00"]
    rig.load(collection(tmp_path, *(feature({"t": text}) for text in texts), **members))
    assert rig.query("select t from geo.t order by id") == [(text,) for text in texts]


@pytest.mark.parametrize("members", [{}, STATED])
def test_times_of_several_zones_are_moments(rig, tmp_path, members):
    texts = ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00"]
    rig.load(collection(tmp_path, *(feature({"t": text}) for text in texts), **members))
    assert rig.query("select extract(hour from t at time zone 'UTC')::int from geo.t order by id") == [(10,), (8,)]


def test_days_of_the_calendar_stay_dates(rig, tmp_path):
    rig.load(collection(tmp_path, feature({"d": "2024-02-29"}), feature({"d": None}), **STATED))
    assert rig.query("select d::text, pg_typeof(d)::text from geo.t order by id") == [
        ("2024-02-29", "date"),
        (None, "date"),
    ]


@pytest.mark.parametrize("members", [{}, STATED])
def test_numbers_beyond_64_bits_are_reported(rig, tmp_path, members):
    numbers = {"n": 18446744073709551616, "m": 9223372036854775807}
    done = rig.load(collection(tmp_path, feature(numbers), **members))
    found = finding(done, FindingCode.READER_WARNING)
    assert found.count == 1 and "18446744073709551616" in found.message
    assert rig.query("select m from geo.t") == [(9223372036854775807,)]


@pytest.mark.parametrize("separator", ["", "\x1e"])
def test_lines_of_a_sequence_that_cannot_be_read_are_counted_and_named(rig, tmp_path, separator):
    path = tmp_path / "f.geojsonl"
    lines = [json.dumps(feature({"i": 0})), '{"type": "Feature", "geometry": ', "[]", json.dumps(feature({"i": 3}))]
    path.write_text("".join(f"{separator}{line}\n" for line in lines))
    done = rig.load(path)
    assert rig.query("select i from geo.t order by id") == [(0,), (3,)]
    found = finding(done, FindingCode.BAD_ROW)
    assert found.count == 2 and "Line 2 " in found.message and "Line 3 " in found.message


def test_a_name_that_postgresql_cannot_hold_is_refused(rig, tmp_path):
    with pytest.raises(UnsupportedFormat, match=r"f\.geojson has a column 'a\\x00b': PostgreSQL") as refused:
        rig.load(collection(tmp_path, feature({"a\x00b": 1})))
    assert refused.value.hint == "Rename it in the file."
