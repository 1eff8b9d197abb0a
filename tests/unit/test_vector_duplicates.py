"""Repeated features are found by digests; expected is what comparing the rows themselves finds."""

from __future__ import annotations

import decimal
import random
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from core.contracts.vector_findings import FindingCode
from services.vector.duplicates import Repeats
from services.vector.findings import Findings

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "flag": pa.bool_(),
        "small": pa.int16(),
        "big": pa.int64(),
        "real": pa.float32(),
        "double": pa.float64(),
        "number": pa.decimal128(38, 2),
        "text": pa.string(),
        "blob": pa.binary(),
        "day": pa.date32(),
        "moment": pa.timestamp("us", tz="UTC"),
        "tags": pa.list_(pa.string()),
        "geom": pa.binary(),
    }
)
CHOICES = {
    "flag": [True, False, None],
    "small": [0, 1, None],
    "big": [0, 2**53 + 1, 2**53, None],
    "real": [0.5, None],
    "double": [0.1, 0.30000000000000004, None],
    "number": [decimal.Decimal("0.10"), decimal.Decimal(2**70), decimal.Decimal(0), None],
    "text": ["", "a", "ab", "ba", "a" * 3000, "b" * 3000, None],
    "blob": [b"", b"\0", b"\0\0", None],
    "day": [date(2024, 1, 1), None],
    "moment": [datetime(2024, 1, 1, tzinfo=UTC), None],
    "tags": [[], ["x"], ["x", None], None],
}
POINTS = [shapely.Point(1, 2), shapely.Point(2, 1), shapely.Point(1, -2)]
MIXED = [*POINTS, shapely.LineString([(0, 0), (1, 1)]), shapely.LineString([(1, 1), (0, 0)])]


def rows(shapes: list, count: int, names: list[str]) -> list[dict]:
    made = random.Random(3)
    fixed = {name: values[0] for name, values in CHOICES.items()}
    return [
        {**fixed, "id": i, "geom": made.choice(shapes).wkb} | {n: made.choice(CHOICES[n]) for n in names}
        for i in range(1, count + 1)
    ]


@pytest.mark.parametrize("shapes", [POINTS, MIXED])
@pytest.mark.parametrize("names", [[name] for name in CHOICES] + [list(CHOICES)])
@pytest.mark.parametrize(("size", "most"), [(7, 1000), (600, 1000), (7, 100), (30, 30), (600, 599)])
def test_what_is_like_an_earlier_feature_is_counted_and_nothing_else(
    shapes: list, names: list[str], size: int, most: int, tmp_path: Path
) -> None:
    features = rows(shapes, 600, names)
    seen: set = set()
    expected = []
    for feature in features:
        key = repr({name: value for name, value in feature.items() if name != "id"})
        if key in seen:
            expected.append(feature["id"])
        seen.add(key)
    repeats, findings = Repeats(tmp_path / "noted", points=shapes is POINTS, most=most), Findings()
    for start in range(0, len(features), size):
        whole = pa.RecordBatch.from_pylist(features[max(0, start - 3) : start + size], SCHEMA)
        repeats.note(whole.slice(min(start, 3)))  # columns that begin anywhere, as filters and slices make them
    repeats.report(findings)
    found = [(f.code, f.count, f.feature_ids) for f in findings.listed()]
    assert found == ([(FindingCode.REPEATED_FEATURES, len(expected), tuple(expected[:10]))] if expected else [])


def test_texts_that_fill_many_blocks_are_told_apart(tmp_path: Path) -> None:
    texts = [f"{number:0900d}" for number in range(2000)]
    features = [{"id": i, "text": text, "geom": POINTS[0].wkb} for i, text in enumerate([*texts, texts[1234]], 1)]
    repeats, findings = Repeats(tmp_path / "noted", points=True), Findings()
    repeats.note(pa.RecordBatch.from_pylist(features, pa.schema([SCHEMA.field(n) for n in ("id", "text", "geom")])))
    repeats.report(findings)
    assert [(f.count, f.feature_ids) for f in findings.listed()] == [(1, (2001,))]
