"""Polygons proven simple without GEOS: never one that GEOS calls invalid, and the common ones all."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import shapely

from core.contracts.vector import GeometryOptions
from services.vector import stars
from services.vector.findings import Findings
from services.vector.geometry import GeometryTarget, cleaned


def written(shapes: np.ndarray, **options: object) -> pa.Array:
    return pa.array(shapely.to_wkb(shapes, **{"flavor": "iso", "byte_order": 1} | options), pa.binary())


def proven(*texts: str) -> list[bool]:
    return stars.found(written(shapely.from_wkt(list(texts)))).proven.tolist()


def rings(seed: int, count: int, *, ragged: float, shuffled: bool, at: float = 0, size: float = 1) -> np.ndarray:
    """Polygons around one point, smooth or ragged, those of which vertices were exchanged not simple any more."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 30)))
        if shuffled:
            i, j = random.integers(0, len(angles), 2)
            angles[[i, j]] = angles[[j, i]]
        radius = size * random.uniform(1 - ragged, 1, len(angles))
        made.append(shapely.Polygon(np.c_[at + radius * np.cos(angles), at + radius * np.sin(angles)]))
    return np.array(made)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("ragged", [0, 0.5, 0.999])
@pytest.mark.parametrize(("at", "size"), [(0, 1), (30, 1e-4), (180, 1e-12), (5e5, 1e-9), (0, 1e-160), (0, 1e160)])
def test_nothing_is_proven_that_is_invalid(shuffled, ragged, at, size):
    shapes = rings(1, 400, ragged=ragged, shuffled=shuffled, at=at, size=size)
    # Multiplied by a power of two, which rounds nothing, since GEOS itself multiplies such numbers to 0 or beyond.
    scale = 2.0 ** -round(np.log2(size)) if at == 0 else 1.0
    valid = shapely.is_valid(shapely.transform(shapes, lambda xy: xy * scale))
    assert not (stars.found(written(shapes)).proven & ~valid).any()


def test_what_is_proven_turns_around_one_point_in_exact_arithmetic():
    shapes = rings(2, 300, ragged=0.9, shuffled=False, at=180, size=1e-11)
    found = stars.found(written(shapes)).proven
    assert found.any()
    for shape in shapes[found]:
        exact = [(Fraction(x), Fraction(y)) for x, y in shape.exterior.coords]
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(exact))
        assert area != 0
        assert len(set(exact)) == len(exact) - 1


def test_regular_polygons_rectangles_and_triangles_are_all_proven():
    random = np.random.default_rng(3)
    for sides in (3, 4, 41):
        angles = np.arange(sides) * 2 * np.pi / sides
        shapes = [shapely.Polygon(random.uniform(-180, 180, 2) + 1e-3 * np.c_[np.cos(angles), np.sin(angles)])] * 50
        assert stars.found(written(np.array(shapes))).proven.all()


def test_box_and_direction_are_told_of_each():
    shapes = shapely.from_wkt(["POLYGON ((1 2, 4 2, 4 7, 1 2))", "MULTIPOLYGON (((5 5, 6 6, 6 5, 5 5)))"])
    found = stars.found(written(shapes))
    assert found.proven.all()
    assert found.boxes.tolist() == [[1, 2, 4, 7], [5, 5, 6, 6]]
    assert found.clockwise.tolist() == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))",  # a bow-tie
        "POLYGON ((1 0, -1 1, -1 -1, 1 0, -1 1, -1 -1, 1 0))",  # twice around
        "POLYGON ((0 0, 0 0, 1 0, 1 1, 0 0))",  # a vertex twice: valid, but GEOS shall say so
        "POLYGON ((0 0, 1 1, 2 2, 0 0))",  # no area
        "POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 1))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
        "POLYGON Z ((0 0 1, 1 0 1, 1 1 1, 0 0 1))",
        "POLYGON EMPTY",
        "LINESTRING (0 0, 1 0, 1 1, 0 0)",
        "POINT (0 0)",
    ],
)
def test_what_is_no_star_is_left_to_others(text):
    assert proven(text, "POLYGON ((0 0, 1 0, 1 1, 0 0))") == [False, True]


def test_an_unclosed_ring_other_bytes_and_nulls_are_left_to_others():
    whole = written(shapely.from_wkt(["POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"]))[0].as_py()
    unclosed = whole[:-16] + np.array([5.0, 5.0]).tobytes()
    with_srid = shapely.to_wkb(shapely.set_srid(shapely.from_wkb(whole), 4326), include_srid=True, byte_order=1)
    big = shapely.to_wkb(shapely.from_wkb(whole), byte_order=0)
    odd = [whole[:45] + np.array([number]).tobytes() + whole[53:] for number in (np.nan, np.inf, -np.inf)]
    others = [unclosed, with_srid, big, None, whole[:-1], b"", *odd]
    column = pa.array([whole, *others, whole], pa.binary())
    assert stars.found(column).proven.tolist() == [True, *[False] * len(others), True]
    assert stars.found(column.slice(1)).proven.tolist() == [*[False] * len(others), True]


def test_cleaning_gives_the_same_whether_or_not_polygons_were_proven():
    single = rings(4, 3000, ragged=0.5, shuffled=True, at=30, size=0.1)
    multi = shapely.multipolygons(single.reshape(-1, 1))
    shapes = np.where(np.arange(len(single)) % 7 == 0, multi, single)
    valid, ids = shapely.is_valid(shapes), np.arange(len(shapes)) + 1
    assert 0 < (~valid).sum() < len(shapes)
    target = GeometryTarget("MultiPolygon", False, True, None, GeometryOptions())
    noticed, expected = Findings(), Findings()
    clean = cleaned(written(shapes), ids, target, noticed)
    slowly = cleaned(written(shapes, byte_order=0), ids, target, expected)
    assert noticed.listed() == expected.listed()
    keep, kept = (np.ones(len(ids), bool) if c.keep is None else c.keep for c in (clean, slowly))
    assert np.array_equal(keep, kept)
    ours, theirs = (shapely.from_wkb(c.geometry.to_pylist()) for c in (clean, slowly))
    assert shapely.equals_exact(ours, theirs).all()
    assert written(multi[keep & valid]).equals(clean.geometry.filter(pa.array(valid[keep])))
