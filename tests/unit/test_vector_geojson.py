"""The fast GeoJSON reader gives what GDAL gives, or leaves the file to it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
import shapely

from core.contracts.tables import SqlType
from core.contracts.vector import Partition, SourcePlan
from core.contracts.vector_formats import VectorFormat
from services.vector import columns, geojson_reader
from services.vector.findings import Findings
from services.vector.gdal_reader import GdalReader, choose_layer
from services.vector.geojson_blocks import NotPlain
from services.vector.geojson_spool import Spool
from services.vector.values import converted

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "vector"
SHARED = sorted([*_DATA.glob("**/*.geojson"), *_DATA.glob("**/*.json"), *_DATA.glob("**/*.geojsonl")])


def collection(folder: Path, *features: dict, **members: object) -> Path:
    path = folder / "f.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": list(features)}))
    return path


def feature(geometry: object = None, **properties: object) -> dict:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def point(*position: float) -> dict:
    return {"type": "Point", "coordinates": list(position)}


def read(reader, types: dict | None = None) -> tuple[dict[str, list], list[bytes | None]]:
    """The table's columns and the geometry in GEOS' own bytes, as loading would have them."""
    planned = columns.planned_columns(reader.attributes, {}, "f")
    found: dict[str, list] = {c.source_name: [] for c in planned}
    shapes: list[bytes | None] = []
    for batch in reader.batches(Findings()):
        ids = pa.array(range(batch.num_rows)).to_numpy()
        for i, column in enumerate(planned):
            values = converted(batch.column(i), column.sql_type, ids, Findings()).to_pylist()
            if column.sql_type.value == "jsonb":
                values = [None if v is None else json.loads(v) for v in values]
            found[column.source_name] += values
        shapes += batch.column(batch.num_columns - 1).to_pylist()
    if types is not None:
        types.update({c.source_name: c.sql_type.value for c in planned})
    return found, shapes


def both(path: Path, *, by_line: bool = False) -> None:
    """Assert that the fast reader and GDAL agree on names, types, values and geometry. Raises NotPlain."""
    fast = geojson_reader.scanned(path, by_line=by_line)
    declared = VectorFormat.GEOJSONSEQ if by_line else VectorFormat.GEOJSON
    plan = SourcePlan(shown="f", format=declared, layer=choose_layer(path, None, "f"), driver="", crs="")
    slow = GdalReader(path, plan, "f")
    mine: dict = {}
    theirs: dict = {}
    fast_values, fast_shapes = read(fast, mine)
    slow_values, slow_shapes = read(slow, theirs)
    assert list(mine.items()) == list(theirs.items())
    assert fast.feature_count == slow.feature_count
    for name in mine:
        assert fast_values[name] == slow_values[name], name
    assert [_geos(w) for w in fast_shapes] == [_geos(w) for w in slow_shapes]


def _geos(raw: bytes | None) -> str | bytes | None:
    shape = None if raw is None else shapely.from_wkb(raw, on_invalid="ignore")
    return raw if shape is None else shapely.to_wkt(shape, rounding_precision=-1)


#: Properties in changing order, positions of unlike length, no collection, a type that comes last.
LEFT_TO_GDAL = {
    "empty-geoms.geojson",
    "index-validate-flag.geojson",
    "invalid_incorrect_geometry_data_type.geojson",
    "problematic_4d_coordinates.geojson",
    "rwanda_districts_with_points.geojson",
    "wof_rwanda_counties_odd.geojson",
    "wof_rwanda_localities.geojsonl",
}


@pytest.mark.shared_data
@pytest.mark.parametrize("path", SHARED, ids=lambda p: p.name)
def test_real_files_read_alike(path):
    by_line = path.suffix == ".geojsonl"
    topology = path.suffix == ".json" and b"FeatureCollection" not in path.read_bytes()[:2000]
    if topology or path.name in LEFT_TO_GDAL:
        with pytest.raises(NotPlain):
            geojson_reader.scanned(path, by_line=by_line)
    else:
        both(path, by_line=by_line)


def test_every_type_of_value_reads_alike(tmp_path):
    rows = [
        feature(
            point(1, 2), a=1, b=True, c=1.5, d="x", e="2020-02-29", f="2020-01-01T10:11:12", g="2020-01-01T10:11:12Z"
        ),
        feature(point(3, 4), a=2**40, b=None, c=2, d="éz", e=None, f="1999-12-31T00:00:00", g=None),
        feature(None, a=-1, b=False, c=-0.0, d="", e="0001-01-01", f=None, g="2020-06-01T10:11:12.125Z"),
    ]
    both(collection(tmp_path, *rows))
    lists = [
        feature(point(1, 2), t=["a", "b"], i=[1, 2], j=[2**40], d=[1.5, 2.5], o={"x": [1, {"y": None}]}, n=None),
        feature(point(1, 2), t=None, i=None, j=[1], d=[0.1], o=None, n=None, later=7),
    ]
    both(collection(tmp_path, *lists))


def test_codes_that_look_a_little_like_dates_stay_text_in_both(tmp_path):
    both(
        collection(tmp_path, *(feature(None, a=a) for a in ("1/02/88311", "12-345", "2020-13-01", "2020-01-32", "1-2")))
    )


@pytest.mark.parametrize("by_line", [False, True])
def test_names_as_ids_read_alike(tmp_path, by_line):
    rows = [{**feature(point(n, 1), n=n, text="x"), "id": f"way/{n}"} for n in range(3)]
    rows.append(feature(None, n=3, text=None))
    path = collection(tmp_path, *rows)
    if by_line:
        path = tmp_path / "f.geojsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    both(path, by_line=by_line)


@pytest.mark.parametrize(
    "ids", [["a", 1], [1, "a"], ["2020-01-01", "2020-01-02"], [1.5, 2.5], [None, "a"], ["a", True]]
)
def test_ids_that_gdal_reads_in_its_own_way_are_left_to_it(tmp_path, ids):
    rows = [{**feature(point(1, 2), a="x"), **({} if own is None else {"id": own})} for own in ids]
    with pytest.raises(NotPlain):
        geojson_reader.scanned(collection(tmp_path, *rows), by_line=False)


def test_a_text_with_nul_is_whole_where_gdal_would_cut_it(tmp_path):
    path = collection(tmp_path, feature(point(1, 2), d="é\u0000z"))
    values, _ = read(geojson_reader.scanned(path, by_line=False))
    assert values == {"d": ["éz"]}


def test_every_type_of_geometry_reads_alike(tmp_path):
    ring, hole = [[0, 0], [4, 0], [4, 4], [0, 0]], [[1, 0.5], [2, 0.5], [2, 1], [1, 0.5]]
    shapes = [
        point(1.25, -2),
        point(1, 2, 3),
        {"type": "LineString", "coordinates": [[0, 0], [1e-7, 1e15]]},
        {"type": "Polygon", "coordinates": [ring, hole]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        {"type": "MultiLineString", "coordinates": [[[0, 0, 5], [1, 1, 6]], [[2, 2, 7], [3, 3, 8]]]},
        {"type": "MultiPolygon", "coordinates": [[ring, hole], [ring]]},
        {"type": "GeometryCollection", "geometries": [point(1, 2), {"type": "Polygon", "coordinates": [ring]}]},
        {"type": "LineString", "coordinates": []},
        None,
    ]
    both(collection(tmp_path, *(feature(shape, n=i) for i, shape in enumerate(shapes))))


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "Feature", "geometry": point(1, 2), "properties": {}, "title": "x"},
        {"type": "Feature", "geometry": point(1, 2), "properties": {}, "id": "x"},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1]}, "properties": {}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": ["1", "2"]}, "properties": {}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[]]}, "properties": {}},
        {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[1, 2], [1, 2, 3]]}, "properties": {}},
        {"type": "Feature", "geometry": {"type": "Circle", "coordinates": [1, 2]}, "properties": {}},
        {"type": "Feature", "geometry": point(1, 2), "properties": {"a": "text", "b": 2**70}},
        {"type": "Feature", "geometry": point(1, 2), "properties": {"a": 5}},
        {"type": "Feature", "geometry": point(1, 2), "properties": {"a": "x", "c": []}},
        {"type": "Feature", "geometry": point(1, 2), "properties": {"a": "x", "c": [1, "a"]}},
        {"type": "Feature", "geometry": point(1, 2), "properties": {"b": 1, "a": "x"}},
        {"type": "Feature", "geometry": point(1, 2), "properties": {"a": "x", "d": "2020/01/01"}},
    ],
)
def test_what_is_not_plain_is_left_to_gdal(tmp_path, odd):
    path = collection(tmp_path, feature(point(0, 0), a="x", b=1), odd)
    with pytest.raises(NotPlain):
        geojson_reader.scanned(path, by_line=False)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:3857"}},"features":['
        '{"type":"Feature","properties":{},"geometry":null}]}',
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":null}]',
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":NaN},"geometry":null}]}',
        '{"type":"FeatureCollection","features":[{"properties":{},"geometry":null,"type":"Feature"}]}',
        '{"type":"Feature","properties":{},"geometry":null}',
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":"\\ud800"},"geometry":null}]}',
        '{"type":"FeatureCollection","features":[]}',
    ],
)
def test_frames_that_say_more_or_less_are_left_to_gdal(tmp_path, text):
    path = tmp_path / "f.geojson"
    path.write_text(text)
    with pytest.raises(NotPlain):
        geojson_reader.scanned(path, by_line=False)


def test_a_feature_inside_a_property_is_no_feature(tmp_path):
    inner = feature(point(9, 9), x=1)
    both(collection(tmp_path, feature(point(1, 2), a=inner, s=json.dumps(inner)), feature(point(3, 4), a=None, s="x")))


def large(folder: Path, *, by_line: bool) -> Path:
    """Some 13 MB: several blocks, with a feature as large as two of them in the middle."""
    many = [[i / 1000, (i * 7 % 1000) / 1000] for i in range(400_000)]
    rows = [feature(point(i / 1000, 1), n=i, text="abc" * 10) for i in range(30_000)]
    rows.insert(15_000, feature({"type": "LineString", "coordinates": many}, n=-1, text="long"))
    path = folder / ("f.geojsonl" if by_line else "f.geojson")
    if by_line:
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
        return path
    return collection(folder, *rows, name="large")


@pytest.mark.parametrize("by_line", [False, True])
def test_parts_read_alone_give_what_the_whole_gives(tmp_path, by_line):
    path = large(tmp_path, by_line=by_line)
    reader = geojson_reader.scanned(path, by_line=by_line)
    again = geojson_reader.reopened(path, by_line=by_line, types=reader.types)
    whole = [b for batch in again.batches(Findings()) for b in batch.to_pylist()]
    assert len(whole) == reader.feature_count == 30_001
    for wanted in (1, 2, 3, 50):
        parts = reader.partitions(wanted)
        assert len(parts) == min(wanted, len(parts)) and sum(p.features for p in parts) == 30_001
        rows, first = [], 1
        for part in parts:
            assert part.first_id == first
            found = [b for batch in again.batches(Findings(), part) for b in batch.to_pylist()]
            assert len(found) == part.features
            first += part.features
            rows += found
        assert rows == whole
    assert len(reader.partitions(50)) >= 2


def rows_of(path: Path, types: dict, *, by_line: bool = False, part: Partition | None = None) -> list[dict]:
    reader = geojson_reader.reopened(path, by_line=by_line, types=types)
    return [row for batch in reader.batches(Findings(), part) for row in batch.to_pylist()]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "path", [p for p in SHARED if p.name not in LEFT_TO_GDAL and p.suffix != ".json"], ids=lambda p: p.name
)
def test_what_a_scan_keeps_of_real_files_is_what_parsing_them_again_gives(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    by_line = path.suffix == ".geojsonl"
    types = geojson_reader.scanned(copy, by_line=by_line).types
    parsed = rows_of(copy, types, by_line=by_line)
    geojson_reader.scanned(copy, by_line=by_line, spool=Spool(copy, most=1 << 30))
    copy.write_bytes(b"")  # so that only what was kept can be read
    assert rows_of(copy, types, by_line=by_line) == parsed


def changing(folder: Path) -> Path:
    """Types that widen, a text behind dates and properties that come late, each some blocks further on."""
    rows = []
    for n in range(30_000):
        late = {"late": [n], "o": {"n": n}} if n > 20_000 else {}
        values = {
            "wide": n if n < 15_000 else 2**40 + n,
            "real": n if n < 15_000 else n + 0.5,
            "day": f"2020-01-{n % 28 + 1:02}" if n < 29_000 else "unknown",
            "moment": f"2020-01-{n % 28 + 1:02}T00:00:00Z",
            "none": None,
        }
        rows.append(feature(point(n / 1000, 1) if n % 7 else None, filler="x" * 100, **values, **late))
    return collection(folder, *rows)


def test_kept_blocks_take_the_types_of_the_whole_file(tmp_path):
    path = changing(tmp_path)
    reader = geojson_reader.scanned(path, by_line=False)
    parsed = rows_of(path, reader.types)
    assert [name for name, kind in reader.types.items() if kind is SqlType.TEXT] == ["filler", "day", "none"]
    geojson_reader.scanned(path, by_line=False, spool=Spool(path))
    path.write_bytes(b"")
    assert rows_of(path, reader.types) == parsed
    parts = [rows_of(path, reader.types, part=part) for part in reader.partitions(3)]
    assert len(parts) == 3 and [row for rows in parts for row in rows] == parsed


def test_a_scan_without_room_keeps_nothing(tmp_path):
    path = changing(tmp_path)
    reader = geojson_reader.scanned(path, by_line=False, spool=Spool(path, most=4 << 20))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert len(rows_of(path, reader.types)) == 30_000
