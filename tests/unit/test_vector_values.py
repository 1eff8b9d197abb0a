"""Attribute values on their way into a column."""

from __future__ import annotations

import datetime as dt
import decimal
import json

import numpy as np
import pyarrow as pa
import pytest

from core.contracts.vector_findings import FindingCode
from services.vector.columns import sql_type
from services.vector.findings import Findings
from services.vector.values import converted


def _naive(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def convert(array: pa.Array, findings: Findings | None = None) -> pa.Array:
    return converted(array, sql_type(array.type), np.arange(1, len(array) + 1), findings or Findings())


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([255, None], pa.uint8()), pa.array([255, None], pa.int16())),
        (pa.array([2**32 - 1, None], pa.uint32()), pa.array([2**32 - 1, None], pa.int64())),
        (pa.array([2**64 - 1, None], pa.uint64()), pa.array([decimal.Decimal(2**64 - 1), None], pa.decimal128(20, 0))),
        (pa.array([0.1, None]), pa.array([0.1, None])),
        (pa.array([1.5, None], pa.float32()), pa.array([1.5, None], pa.float32())),
        (pa.array(["é", None], pa.large_string()), pa.array(["é", None])),
        (pa.array(["a", None, "a"]).dictionary_encode(), pa.array(["a", None, "a"])),
        (pa.nulls(2), pa.array([None, None], pa.string())),
        (pa.array([b"x", None], pa.binary_view()), pa.array([b"x", None], pa.binary())),
        (pa.array([dt.date(2024, 1, 2), None], pa.date64()), pa.array([dt.date(2024, 1, 2), None])),
        (
            pa.array([_naive("1901-01-02"), None], pa.timestamp("ms")),
            pa.array([_naive("1901-01-02"), None], pa.timestamp("us")),
        ),
        (pa.array([[1, None], None], pa.list_(pa.int8())), pa.array([[1, None], None], pa.list_(pa.int32()))),
        (pa.array([["a"], None, [], ["b", None]]), pa.array([["a"], None, [], ["b", None]])),
    ],
)
def test_values_arrive_unchanged_in_the_type_of_their_column(array, expected):
    result = convert(array)
    assert result.to_pylist() == expected.to_pylist()
    assert str(result.type).replace("element", "item") == str(expected.type).replace("element", "item")


def test_a_time_with_a_zone_keeps_its_moment():
    array = pa.array(
        [dt.datetime(2020, 1, 1, 10, tzinfo=dt.timezone(dt.timedelta(hours=2)))], pa.timestamp("ms", "+02:00")
    )
    assert convert(array).to_pylist() == [dt.datetime(2020, 1, 1, 8, tzinfo=dt.UTC)]


def test_years_that_no_date_can_have_become_null_and_are_reported():
    findings = Findings()
    days = pa.array([0, 5_000_000, -800_000, None], pa.int32()).cast(pa.date32())
    assert convert(days, findings).to_pylist() == [dt.date(1970, 1, 1), None, None, None]
    (finding,) = findings.listed()
    assert (finding.code, finding.count, finding.feature_ids) == (FindingCode.DATE_OUT_OF_RANGE, 2, (2, 3))


def test_the_first_and_the_last_possible_moment_stay():
    edges = [_naive("0001-01-01"), _naive("9999-12-31T23:59:59.999999")]
    findings = Findings()
    assert convert(pa.array(edges, pa.timestamp("us")), findings).to_pylist() == edges
    assert findings.listed() == ()


def test_nanoseconds_are_cut_to_microseconds_and_reported():
    findings = Findings()
    result = convert(pa.array([1_000_000_001, 2_000], pa.timestamp("ns")), findings)
    assert result.cast(pa.int64()).to_pylist() == [1_000_000, 2]
    assert [(f.code, f.count, f.feature_ids) for f in findings.listed()] == [(FindingCode.TIME_PRECISION_LOST, 1, (1,))]


def test_durations_finer_than_a_microsecond_are_cut_and_longer_than_an_interval_null():
    findings = Findings()
    assert convert(pa.array([1_500, 2_000], pa.duration("ns")), findings).cast(pa.int64()).to_pylist() == [1, 2]
    longest = pa.array([2**62, 86_400, None], pa.duration("s"))
    assert convert(longest, findings).to_pylist() == [None, dt.timedelta(days=1), None]
    assert [(f.code, f.count, f.feature_ids) for f in findings.listed()] == [
        (FindingCode.DATE_OUT_OF_RANGE, 1, (1,)),
        (FindingCode.TIME_PRECISION_LOST, 1, (1,)),
    ]


def test_records_keep_their_shape_around_what_json_has_no_form_for():
    record = {"a": float("nan"), "b": b"\xff", "c": [dt.date(2024, 1, 1)]}
    kinds = [("a", pa.float64()), ("b", pa.binary()), ("c", pa.list_(pa.date32()))]
    (text,) = convert(pa.array([record], pa.struct(kinds))).to_pylist()
    assert json.loads(text) == {"a": "nan", "b": "/w==", "c": ["2024-01-01"]}


def test_nul_characters_are_removed_from_text_and_reported():
    findings = Findings()
    assert convert(pa.array(["a\x00b", "c", None]), findings).to_pylist() == ["ab", "c", None]
    assert [(f.code, f.feature_ids) for f in findings.listed()] == [(FindingCode.NUL_REMOVED, (1,))]


def test_text_that_is_not_utf8_is_read_as_windows_1252_and_reported():
    findings = Findings()
    raw = pa.array([b"M\xe9xico", "México".encode(), None], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    assert convert(text, findings).to_pylist() == ["México", "México", None]
    assert [(f.code, f.feature_ids) for f in findings.listed()] == [(FindingCode.TEXT_RECODED, (1,))]


def test_nested_values_become_json():
    array = pa.array([{"a": [1, None], "b": "é"}, None], pa.struct([("a", pa.list_(pa.int32())), ("b", pa.string())]))
    first, second = convert(array).to_pylist()
    assert json.loads(first) == {"a": [1, None], "b": "é"} and second is None


@pytest.mark.parametrize("bad", ["NaN", "{broken", "[1, Infinity]"])
def test_what_is_not_json_is_kept_as_a_json_string(bad):
    array = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array([bad]))
    assert [json.loads(v) for v in convert(array).to_pylist()] == [bad]


def test_json_keeps_its_own_spelling_of_numbers():
    array = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["[1.10, 12345678901234567890123]"]))
    assert convert(array).to_pylist() == ["[1.10, 12345678901234567890123]"]


def test_slices_of_arrays_convert_like_whole_ones():
    assert convert(pa.array(["a", "b\x00", "c"]).slice(1, 2)).to_pylist() == ["b", "c"]
    assert convert(pa.array([[1], [2, 3], None]).slice(1)).to_pylist() == [[2, 3], None]
