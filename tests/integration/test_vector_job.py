"""process_vector on small files that the tests make, into a real PostGIS."""

from __future__ import annotations

import datetime as dt
import decimal
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyproj
import pytest
import shapely
from geopandas import GeoDataFrame
from psycopg.conninfo import make_conninfo

from core.contracts.storage import BlobName
from core.contracts.vector_findings import FindingCode
from core.errors import (
    AmbiguousLayer,
    ColumnsMissing,
    CrsMismatch,
    CrsMissing,
    InvalidRequest,
    NoFeatures,
    SourceNotFound,
    UnreadableSource,
)
from tests.support.vector import CONTAINER, VectorRig, geojson, point

SQUARE = shapely.box(30, -2, 30.1, -1.9)


@pytest.fixture
def rig(db: str, tmp_path: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes features to a file in the format of its name."""

    def write(file: str, geometry: list, crs: str | None = "EPSG:4326", driver: str | None = None, **columns) -> Path:
        path = tmp_path / "made" / file
        path.parent.mkdir(exist_ok=True)
        frame = GeoDataFrame(columns, geometry=geometry, crs=crs)
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            pyogrio.write_dataframe(frame, path, driver=driver)
        return path

    return write


def findings(done) -> dict[FindingCode, int]:
    return {f.code: f.count for f in done.result.findings}


@pytest.mark.parametrize("name", ["f.gpkg", "f.geojson", "f.geojsonl", "f.shp", "f.fgb", "f.parquet", "f.kml", "f.gml"])
def test_every_format_gives_the_same_table(rig, write, name):
    drivers = {".kml": "LIBKML", ".geojsonl": "GeoJSONSeq", ".gml": "GML"}
    path = write(name, [SQUARE, shapely.Point(0, 0).buffer(1)], driver=drivers.get(Path(name).suffix), n=[7, 8])
    done = rig.load(path)
    assert done.result.geometry_type in ("MultiPolygon", "MultiPolygonZ")
    rows = rig.query("select n::int, st_srid(geom), st_geometrytype(geom), st_area(geom) from geo.t order by id")
    assert [r[:3] for r in rows] == [(7, 4326, "ST_MultiPolygon"), (8, 4326, "ST_MultiPolygon")]
    assert [r[3] for r in rows] == pytest.approx([SQUARE.area, shapely.Point(0, 0).buffer(1).area], rel=1e-6)


def test_a_zipped_shapefile_in_a_folder_is_found(rig, write, tmp_path):
    path = write("roads.shp", [shapely.LineString([(30, -2), (31, -1)])], name=["Kigali–Huye"])
    packed = tmp_path / "roads.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for part in path.parent.glob("roads.*"):
            archive.write(part, f"inner/{part.name.upper()}")
    rig.load(packed)
    assert rig.query("select name, st_astext(geom) from geo.t") == [("Kigali–Huye", "MULTILINESTRING((30 -2,31 -1))")]


def test_a_shapefile_without_its_dbf_is_refused_by_name(rig, write):
    path = write("roads.shp", [SQUARE], a=[1])
    path.with_suffix(".dbf").unlink()
    with pytest.raises(UnreadableSource, match=r"lacks roads\.dbf"):
        rig.load(path)


def test_a_text_file_renamed_gpkg_is_refused_by_name(rig, tmp_path):
    path = tmp_path / "notes.gpkg"
    path.write_text("these are notes")
    with pytest.raises(UnreadableSource, match=r"bronze-vectors/notes\.gpkg is not a GeoPackage"):
        rig.load(path)
    assert not rig.tables.exists("geo", "t")


def test_a_truncated_geopackage_is_refused_by_name(rig, write):
    path = write("f.gpkg", [SQUARE] * 3000, a=range(3000))
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(UnreadableSource, match=r"f\.gpkg"):
        rig.load(path)


def test_a_blob_that_is_not_there_is_reported_by_name(rig):
    with pytest.raises(SourceNotFound, match=r"nowhere\.gpkg"):
        rig.run(rig.parameters("nowhere.gpkg"))


def test_several_layers_must_be_chosen_from(rig, write):
    path = write("f.gpkg", [SQUARE], a=[1])
    pyogrio.write_dataframe(GeoDataFrame({"b": [2]}, geometry=[SQUARE], crs=4326), path, layer="second", append=True)
    with pytest.raises(AmbiguousLayer, match=r"f \(1 features\), second \(1 features\)"):
        rig.load(path)
    rig.load(path, layer_name="second")
    assert rig.query("select b from geo.t") == [(2,)]


def test_every_type_of_attribute_arrives_bit_for_bit(rig, tmp_path):
    rng = np.random.default_rng(7)
    doubles = np.concatenate([rng.uniform(-1e300, 1e300, 500), [5e-324, 0.1 + 0.2, -0.0, np.inf, np.nan]])
    count = len(doubles)
    with np.errstate(over="ignore"):
        floats = doubles.astype(np.float32)
    moment = dt.datetime.fromisoformat("2024-02-29T23:59:59.999999")
    longs = rng.integers(-(2**63), 2**63 - 1, count, dtype=np.int64)
    data = {
        "d": pa.array(doubles),
        "f": pa.array(floats),
        "i64": pa.array(longs),
        "i32": pa.array(longs.astype(np.int32)),
        "i8": pa.array(longs.astype(np.int8)),
        "u64": pa.array(longs.view(np.uint64)),
        "b": pa.array([True, None] * (count // 2) + [False]),
        "s": pa.array(["Rusizi 🏔 \u0000x", "", None, "'; drop table geo.t; --", "日本語"] * (count // 5)),
        "bin": pa.array([bytes([i % 256]) * (i % 5) for i in range(count)]),
        "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(1900, 2, 28), None] * (count // 5)),
        "time": pa.array([dt.time(23, 59, 59, 999999)] * count),
        "naive": pa.array([moment] * count, pa.timestamp("us")),
        "zoned": pa.array([moment.replace(tzinfo=dt.UTC)] * count, pa.timestamp("ms", "Africa/Kigali"), safe=False),
        "dec": pa.array([decimal.Decimal("-12345678901234567.89")] * count, pa.decimal128(30, 2)),
        "ints": pa.array([[1, None, 3], None, [], [2**31 - 1], [0]] * (count // 5), pa.list_(pa.int32())),
        "texts": pa.array([["a", None], None, [], ["b,\"c'"], [""]] * (count // 5)),
        "nested": pa.array([{"a": {"b": [1.5]}}] * count),
        "geometry": pa.array([shapely.to_wkb(shapely.Point(i, 0)) for i in np.linspace(-180, 180, count)]),
    }
    path = tmp_path / "types.parquet"
    pq.write_table(pa.table(data), path)
    done = rig.load(path)
    assert done.result.summary.data_complete and findings(done)[FindingCode.NUL_REMOVED] == count // 5
    with rig.pool.connection() as conn, conn.cursor(binary=True) as cursor:
        names = [n for n in data if n not in ("geometry", "nested", "s", "zoned", "u64")]
        cursor.execute("select " + ", ".join(names) + " from geo.t order by id")
        stored = dict(zip(names, zip(*cursor.fetchall(), strict=True), strict=True))
    assert np.array(stored.pop("d")).tobytes() == doubles.tobytes()
    assert np.array(stored.pop("f"), np.float32).tobytes() == floats.tobytes()
    for name, found in stored.items():
        assert list(found) == data[name].to_pylist(), name
    texts = [r[0] for r in rig.query("select s from geo.t order by id")]
    assert texts == [None if s is None else s.replace("\x00", "") for s in data["s"].to_pylist()]
    assert [int(r[0]) for r in rig.query("select u64 from geo.t order by id")] == data["u64"].to_pylist()
    assert rig.query("select distinct nested, (zoned at time zone 'UTC')::text from geo.t") == [
        ({"a": {"b": [1.5]}}, "2024-02-29 23:59:59.999")
    ]
    types = dict(
        rig.query(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'geo.t'::regclass and attnum > 0"
        )
    )
    assert types["id"] == "bigint" and types["geom"] == "geometry(Point,4326)" and types["nested"] == "jsonb"
    assert types["zoned"] == "timestamp with time zone" and types["ints"] == "integer[]"


def test_decimals_of_more_digits_than_128_bits_hold_arrive_exactly(rig, tmp_path):
    texts = ["9" * 38 + "." + "1" * 38, "-0." + "0" * 37 + "1", "0", None, "12345.5", "-1" + "0" * 37]
    values = [None if t is None else decimal.Decimal(t) for t in texts]
    data = {
        "wide": pa.array(values, pa.decimal256(76, 38)),
        "round": pa.array([None, *[decimal.Decimal(7 * 10**44)] * 5], pa.decimal256(50, 0)),
        "geometry": pa.array([shapely.to_wkb(shapely.Point(i, 0)) for i in range(6)]),
    }
    pq.write_table(pa.table(data), tmp_path / "wide.parquet")
    done = rig.load(tmp_path / "wide.parquet", geometry_params={"drop_duplicates": True})
    assert done.result.summary.data_complete
    assert [wide for (wide,) in rig.query("select wide from geo.t order by id")] == values
    assert rig.query("select distinct round::text from geo.t where id > 1") == [("7" + "0" * 44,)]
    assert rig.query("select distinct pg_typeof(wide)::text, pg_typeof(round)::text from geo.t") == [("numeric",) * 2]


def test_coordinates_arrive_bit_for_bit(rig, write):
    rng = np.random.default_rng(3)
    shapes = [shapely.Polygon(rng.uniform(-80, 80, (3, 2))) for _ in range(300)]
    rig.load(write("f.gpkg", shapes))
    stored = [shapely.from_wkb(r[0]) for r in rig.query("select st_asbinary(geom) from geo.t order by id")]
    assert all(
        shapely.get_coordinates(s).tobytes() == shapely.get_coordinates(o).tobytes()
        for s, o in zip(stored, shapes, strict=True)
    )


_RING = [(30, -2), (30.1, -2), (30.1, -1.9), (30, -1.9)]
_BOW_TIE = shapely.Polygon([(29, -3), (29.2, -2.8), (29.2, -3), (29, -2.8)])
_WITH_A_SPIKE = shapely.Polygon([(30, -2), (30.1, -2), (31, -2), (30.1, -2), (30.1, -1.9)])  # cut off by the repair


@pytest.mark.parametrize("options", [{}, {"target_crs": "EPSG:32735"}, {"geometry_params": {"keep_m": True}}])
@pytest.mark.parametrize(
    "shapes",
    [
        [shapely.Point(30, -2), shapely.Point(31, -3), None],
        [shapely.Polygon(_RING), _BOW_TIE, _WITH_A_SPIKE],
        [shapely.Polygon(_RING), shapely.Polygon(_RING[::-1]), shapely.multipolygons([_BOW_TIE])],
        [shapely.Polygon(_RING, [[(30.02, -1.98), (30.04, -1.98), (30.04, -1.95)]])],
        [shapely.LineString([(30, -2, 5), (31, -3, 7)]), shapely.LineString([(29, -1), (28, 0)])],
        ["LINESTRING ZM (30 -2 5 0.5, 31 -3 7 1)", "LINESTRING M (29 -1 5, 28 0 6)"],
    ],
    ids=["points", "polygons", "multi", "holes", "heights", "measures"],
)
def test_the_extent_told_is_that_of_the_stored_rows(rig, tmp_path, shapes, options):
    made = [shapely.from_wkt(s) if isinstance(s, str) else s for s in shapes]
    data = {"n": pa.array(range(len(made))), "geometry": pa.array(shapely.to_wkb(made, flavor="iso"), pa.binary())}
    pq.write_table(pa.table(data), tmp_path / "f.parquet")
    done = rig.load(tmp_path / "f.parquet", input_crs="EPSG:4326", **options)
    [stored] = rig.query(
        "select st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e) from (select st_extent(geom) as e from geo.t) as s"
    )
    if "target_crs" in options:
        stored = pyproj.Transformer.from_crs(32735, 4326, always_xy=True).transform_bounds(*stored)
        assert done.result.bbox == pytest.approx(stored, abs=1e-4)
    else:
        assert done.result.bbox == stored


def test_unlike_types_share_one_table_when_asked_and_that_is_reported(rig, tmp_path):
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    path = geojson(tmp_path, (point(), {}), (line, {}), (None, {}))
    done = rig.load(path, geometry_params={"mixed": "geometry"})
    assert done.result.geometry_type == "Geometry"
    assert rig.query("select st_geometrytype(geom) from geo.t order by id") == [("ST_Point",), ("ST_LineString",)]
    assert findings(done) == {FindingCode.MIXED_GEOMETRY_TYPES: 2, FindingCode.NULL_GEOMETRY: 1}


def test_unlike_types_become_a_table_each_without_being_asked(rig, tmp_path):
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    done = rig.load(geojson(tmp_path, (point(), {"n": 1}), (line, {"n": 2}), (None, {"n": 3}), (point(), {"n": 4})))
    assert rig.query("select id, n from geo.t_points order by id") == [(1, 1), (4, 4)]
    assert rig.query("select id, n, st_geometrytype(geom) from geo.t_lines") == [(2, 2, "ST_MultiLineString")]
    assert findings(done)[FindingCode.MIXED_GEOMETRY_TYPES] == 3
    assert findings(done)[FindingCode.NULL_GEOMETRY] == 1
    assert done.result.summary.rows_skipped == 1 and not done.result.summary.data_complete


def test_each_table_of_a_layer_says_what_became_of_its_own_features(rig, tmp_path):
    bow_tie = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    path = geojson(tmp_path, (point(), {"a": "x"}), (bow_tie, {"a": "y"}), (point(200, 1), {"a": "z\0"}))
    done = rig.load(path)
    told = rig.query(
        "select table_name, geometry_repairs, jsonb_path_query_array(findings, '$[*].code')"
        " from app.vector_etl_tracking order by 1"
    )
    assert told == [
        ("t_points", 0, ["mixed_geometry_types", "coordinates_out_of_range", "nul_removed"]),
        ("t_polygons", 1, ["repaired_geometry", "area_changed", "mixed_geometry_types"]),
    ]
    assert findings(done)[FindingCode.REPAIRED_GEOMETRY] == findings(done)[FindingCode.NUL_REMOVED] == 1


def test_one_item_id_for_several_tables_is_refused_not_ignored(rig, tmp_path):
    path = geojson(tmp_path, (point(), {}), ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, {}))
    with pytest.raises(InvalidRequest, match=r"item_id mine is for one table, but .* becomes t_points, t_lines"):
        rig.load(path, item_id="mine")
    assert rig.load(path, item_id="mine", geometry_params={"mixed": "geometry"}).item["id"] == "mine"


def test_heights_are_kept_and_missing_ones_filled(rig, write):
    done = rig.load(write("f.gpkg", [shapely.Point(1, 2, 3), shapely.Point(4, 5)]))
    assert rig.query("select st_astext(geom) from geo.t order by id") == [("POINT Z (1 2 3)",), ("POINT Z (4 5 0)",)]
    assert done.result.geometry_type == "PointZ" and findings(done)[FindingCode.Z_FILLED] == 1


def test_the_geometry_type_is_that_of_all_features_not_of_the_first(rig, write):
    many = shapely.MultiPolygon([SQUARE, shapely.box(1, 1, 2, 2)])
    done = rig.load(write("f.gpkg", [SQUARE] * 50 + [many]))
    assert done.result.geometry_type == "MultiPolygon" and done.result.summary.data_complete


def test_invalid_polygons_are_repaired_and_named(rig, write):
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    done = rig.load(write("f.gpkg", [SQUARE, bow_tie]))
    assert rig.query("select bool_and(st_isvalid(geom)), count(*) from geo.t") == [(True, 2)]
    repaired = next(f for f in done.result.findings if f.code is FindingCode.REPAIRED_GEOMETRY)
    assert (repaired.count, repaired.feature_ids) == (1, (2,))


def test_ids_are_the_places_of_the_features_in_the_file(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"n": "a"}), (None, {"n": "b"}), (point(), {"n": "c"})))
    assert rig.query("select id, n from geo.t order by id") == [(1, "a"), (3, "c")]


@pytest.mark.parametrize(
    ("geometry", "why"), [([None, None], "has a geometry"), ([shapely.Point()], "no coordinates"), ([], "no feature")]
)
def test_a_file_without_geometry_is_refused_and_leaves_nothing(rig, write, geometry, why):
    with pytest.raises(NoFeatures, match=why):
        rig.load(write("f.gpkg", geometry, a=[1] * len(geometry)))
    assert rig.query("select count(*) from pg_class where relname like 't\\_\\_stg%%' or relname = 't'") == [(0,)]


def test_a_projected_file_is_brought_to_4326(rig, write):
    # EPSG:3857 of lon 30.06, lat -1.94, by the formulas of the spherical Mercator projection.
    x = 6378137.0 * np.radians(30.06)
    y = 6378137.0 * np.log(np.tan(np.pi / 4 + np.radians(-1.94) / 2))
    done = rig.load(write("f.gpkg", [shapely.Point(x, y)], crs="EPSG:3857"))
    ((lon, lat),) = rig.query("select st_x(geom), st_y(geom) from geo.t")
    assert (lon, lat) == pytest.approx((30.06, -1.94), abs=1e-9)
    assert done.result.source_crs == "EPSG:3857" and done.result.srid == 4326


def test_another_target_crs_is_honoured_and_the_box_is_still_in_degrees(rig, write):
    done = rig.load(write("f.gpkg", [shapely.Point(30, -2), shapely.Point(30.1, -1.9)]), target_crs="EPSG:32736")
    assert rig.query("select distinct st_srid(geom) from geo.t") == [(32736,)]
    assert done.result.bbox == pytest.approx((30, -2, 30.1, -1.9), abs=1e-3)


def test_without_crs_degrees_are_recognised_and_metres_refused(rig, write):
    with pytest.warns(UserWarning, match="crs"):
        near, far = write("near.shp", [SQUARE], crs=None), write("far.shp", [shapely.Point(5e5, 9.78e6)], crs=None)
    assert FindingCode.CRS_ASSUMED in findings(rig.load(near))
    with pytest.raises(CrsMissing, match="input_crs"):
        rig.load(far, table_name="far")
    assert FindingCode.CRS_GIVEN in findings(rig.load(far, table_name="far", input_crs="EPSG:32735"))
    ((lon, lat),) = rig.query("select st_x(geom), st_y(geom) from geo.far")
    assert lon == pytest.approx(27, abs=1e-6) and -3 < lat < -1


def test_a_coordinate_that_is_no_number_is_one_features_fault(rig, tmp_path):
    shapes = [shapely.Point(30, -2), shapely.Point(np.inf, 1), shapely.Point(2, np.nan), shapely.Point(31, -1)]
    table = pa.table({"n": [1, 2, 3, 4], "geometry": pa.array(shapely.to_wkb(np.array(shapes)), pa.binary())})
    pq.write_table(table, tmp_path / "f.parquet")
    done = rig.load(tmp_path / "f.parquet")
    assert rig.query("select n, st_astext(geom) from geo.t order by n") == [(1, "POINT(30 -2)"), (4, "POINT(31 -1)")]
    assert findings(done) == {FindingCode.CRS_ASSUMED: 1, FindingCode.UNREADABLE_GEOMETRY: 2}
    assert done.result.bbox == (30, -2, 31, -1)


def test_geojson_in_metres_is_refused_instead_of_drawn_beyond_the_pole(rig, tmp_path):
    path = geojson(tmp_path, (point(500_000, 9_780_000), {}))
    with pytest.raises(CrsMismatch, match="no degrees"):
        rig.load(path)
    rig.load(path, input_crs="EPSG:32735")
    assert rig.query("select round(st_x(geom)::numeric, 6)::float from geo.t") == [(27.0,)]


def test_weird_column_names_are_kept_apart_and_their_origin_remembered(rig, tmp_path):
    names = ["id", "ID", "geom", "A b", "a-b", "a_b", "x" * 70, 'x"; drop table geo.t; --', "", "select", "1st", "名前"]
    done = rig.load(geojson(tmp_path, (point(), {n: i for i, n in enumerate(names)})))
    definitions = done.result.column_definitions
    assert {d["source_name"] for d in definitions.values()} == set(names)
    assert len(definitions) == len(names) and all(
        len(n.encode()) <= 63 and n not in ("id", "geom") for n in definitions
    )
    (row,) = rig.query("select to_jsonb(t) - 'id' - 'geom' from geo.t t")
    assert {definitions[k]["source_name"]: v for k, v in row[0].items()} == {n: i for i, n in enumerate(names)}
    assert {d["position"]: d["source_name"] for d in definitions.values()} == dict(enumerate(names, 1))
    assert rig.query("select column_definitions from geo.table_catalog") == [(definitions,)]


@pytest.mark.parametrize(
    ("option", "value", "error", "said"),
    [
        ("primary_key", "kode", ColumnsMissing, "primary_key names kode"),
        ("style_attribute", "kode", ColumnsMissing, "style_attribute names kode"),
        ("style_attribute", "day", InvalidRequest, "style_attribute 'day' is a date column, not one of texts"),
        ("temporal_property", "code", InvalidRequest, "temporal_property 'code' is a text column, not one of dates"),
    ],
)
def test_an_option_that_names_no_fitting_column_fails_before_anything_is_loaded(
    rig, tmp_path, option, value, error, said
):
    path = geojson(tmp_path, (point(), {"code": "a", "day": "2020-01-01"}))
    with pytest.raises(error, match=said):
        rig.stage(1, rig.parameters(rig.put(path), **{option: value}), {}, rig.context())
    assert rig.query("select count(*) from pg_class where strpos(relname, '__stg_') > 0") == [(0,)]


@pytest.mark.parametrize("name", ["f.gpkg", "f.geojson", "f.parquet"])
def test_coordinate_columns_of_a_file_with_geometries_are_refused_not_ignored(rig, write, name):
    path = write(name, [shapely.Point(1, 2)], lat=[3.0], lon=[4.0])
    with pytest.raises(InvalidRequest, match="lat_name and lon_name was given, but bronze-vectors/f"):
        rig.load(path, lat_name="lat", lon_name="lon")
    with pytest.raises(InvalidRequest, match="wkt_column"):
        rig.load(path, wkt_column="lat")


@pytest.mark.parametrize("name", ["f.csv", "f.parquet"])
def test_a_layer_that_a_file_of_one_does_not_have_is_refused_not_ignored(rig, write, tmp_path, name):
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("lat,lon\n1,2\n")
    else:
        path = write(name, [shapely.Point(1, 2)], n=[1])
    with pytest.raises(AmbiguousLayer, match="no layer 'roads'; it has one, 'f'"):
        rig.load(path, layer_name="roads")
    rig.load(path, layer_name="f")


def test_column_mapping_is_honoured(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"NAME_1": "x"})), column_mapping={"NAME_1": "province"})
    assert rig.query("select province from geo.t") == [("x",)]


def test_asked_indexes_exist_under_tidy_names(rig, tmp_path):
    path = geojson(
        tmp_path, (point(), {"Code": "a", "seen": "2024-05-01"}), (point(), {"Code": "b", "seen": "2023-01-31"})
    )
    done = rig.load(path, indexes={"attributes": ["Code"], "temporal": ["seen"]}, temporal_property="seen")
    indexes = dict(rig.query("select indexname, indexdef from pg_indexes where schemaname = 'geo' and tablename = 't'"))
    assert set(indexes) == {"t_pkey", "t_geom_idx", "t_code_idx", "t_seen_idx"}
    assert "gist" in indexes["t_geom_idx"] and "DESC" in indexes["t_seen_idx"]
    assert done.item["properties"]["start_datetime"] == "2023-01-31T00:00:00Z"
    assert done.item["properties"]["end_datetime"] == "2024-05-01T00:00:00Z"


def test_the_temporal_extent_does_not_depend_on_the_servers_time_zone(db, tmp_path, write):
    rig = VectorRig(make_conninfo(db, options="-c timezone=Asia/Tokyo"), tmp_path)
    days = pd.to_datetime(["2024-05-01", "2024-05-03"]).astype("datetime64[ms]")
    done = rig.load(write("f.gpkg", [SQUARE, SQUARE], day=days), temporal_property="day")
    rig.close()
    assert done.item["properties"]["start_datetime"] == "2024-05-01T00:00:00Z"


def test_an_index_that_cannot_be_built_is_explained(rig, tmp_path):
    rng = np.random.default_rng(1)
    path = geojson(tmp_path, (point(), {"long": rng.bytes(9000).hex()}))
    with pytest.raises(InvalidRequest, match="index"):
        rig.load(path, indexes={"attributes": ["long"]})


def test_a_csv_becomes_points(rig, tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("Code;Latitude;Longitude\n007;-1.9;30.1\n8;oops;30\n", encoding="utf-8-sig")
    done = rig.load(path)
    assert rig.query("select id, code, latitude, st_astext(geom) from geo.t") == [
        (1, "007", "-1.9", "POINT(30.1 -1.9)")
    ]
    assert findings(done)[FindingCode.UNREADABLE_GEOMETRY] == 1


def test_times_of_a_csv_keep_their_moment(rig, tmp_path):
    (tmp_path / "p.csv").write_text("t,lat,lon\n2024-01-01T10:00:00+02:00,1,2\n2024-01-01T10:00:00Z,1,2\n")
    rig.load(tmp_path / "p.csv")
    assert rig.query("select extract(hour from t at time zone 'UTC')::int from geo.t order by id") == [(8,), (10,)]


def test_the_item_describes_the_table_without_naming_the_server(rig, tmp_path):
    done = rig.load(
        geojson(tmp_path, (point(), {"Name": "x"}), (point(31, -1), {"Name": "y"})),
        dataset_id="ds",
        resource_id="rs",
        version_id="v1",
        request_id="a" * 32,
        client_id="ddh",
        title="Wells",
        keywords=["water"],
        license="CC-BY-4.0",
    )
    properties = done.item["properties"]
    assert (done.item["id"], done.item["collection"]) == ("postgis-geo-t", "system-vectors")
    assert done.item["bbox"] == [30, -2, 31, -1]
    assert shapely.geometry.shape(done.item["geometry"]).bounds == (30, -2, 31, -1)
    expected = {
        "app:published": False,
        "platform:dataset_id": "ds",
        "platform:access_level": "public",
        "postgis:schema": "geo",
        "postgis:table": "t",
        "postgis:row_count": 2,
        "postgis:geometry_types": ["Point"],
        "postgis:srid": 4326,
        "vector:source_format": "GeoJSON",
        "title": "Wells",
    }
    assert {k: properties[k] for k in expected} == expected
    asset = done.item["assets"]["data"]
    assert asset["href"] == "postgis://geo/t" and properties["table:row_count"] == 2
    assert [c["name"] for c in properties["table:columns"]] == ["id", "name", "geom"]
    assert properties["table:primary_geometry"] == "geom"
    assert done.result.stac.item_id == "postgis-geo-t"


def test_catalogue_and_tracking_rows_say_what_happened(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"a": 1}), (None, {"a": 2})), title="Wells", keywords=["b", "c"])
    assert rig.query(
        "select title, keywords, geometry_type, srid, feature_count, published, stac_item_id from geo.table_catalog"
    ) == [("Wells", "b, c", "Point", 4326, 1, False, "postgis-geo-t")]
    assert rig.query(
        "select source_file, source_format, rows_read, rows_written, rows_skipped, findings->0->>'code' "
        "from app.vector_etl_tracking"
    ) == [(f"{CONTAINER}/f.geojson", "GeoJSON", 2, 1, 1, "null_geometry")]


def test_one_task_makes_the_table_that_several_make(rig, tmp_path):
    line = {"type": "LineString", "coordinates": [[29, -2], [30, -2]]}
    rows = [(point(29 + n / 50_000) if n % 5 else None, {"n": n, "text": "x" * 150}) for n in range(30_000)]
    path = geojson(tmp_path, *rows, (line, {"n": 2**40, "text": None, "late": "2020-02-29"}))
    rig.load(path, table_name="several")
    rig.run_as_one_task(rig.parameters(path.name, table_name="single"))
    for kind, count in (("points", 24_000), ("lines", 1)):
        several, single = (rig.query(f"select * from geo.{name}_{kind} order by id") for name in ("several", "single"))
        assert several == single and len(single) == count


def test_the_bronze_blob_is_not_touched(rig, write):
    path = write("f.gpkg", [SQUARE], a=[1])
    with sqlite3.connect(path) as database:
        database.execute("pragma journal_mode=wal")
    database.close()
    name = rig.put(path)
    before = rig.storage.head(BlobName(CONTAINER, name)), sorted(rig.storage._root.rglob("*"))
    content = rig.storage.read(BlobName(CONTAINER, name))
    rig.run(rig.parameters(name))
    for folder in rig.folder.glob("work*"):
        shutil.rmtree(folder)
    assert rig.storage.read(BlobName(CONTAINER, name)) == content
    assert (rig.storage.head(BlobName(CONTAINER, name)), sorted(rig.storage._root.rglob("*"))) == before
