"""Formats, archives and layers beyond one plain file: workbooks, MapInfo, drawings, archives in archives."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
from geopandas import GeoDataFrame

from core.contracts.vector import ProcessVectorParameters
from core.contracts.vector_findings import FindingCode
from core.errors import (
    AmbiguousLayer,
    ColumnsMissing,
    CrsMismatch,
    InvalidGeometry,
    InvalidRequest,
    NoFeatures,
    UnreadableSource,
    UnsupportedFormat,
)
from services.vector import fetching, layers
from tests.support.vector import VectorRig
from tests.support.workbook import Formula, workbook

PLACES = [("name", "lat", "lon"), ("Kigali", -1.95, 30.06), ("Huye", -2.6, 29.74)]


@pytest.fixture
def rig(db: str, tmp_path: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def found(done) -> dict[FindingCode, int]:
    return {f.code: f.count for f in done.result.findings}


def test_the_only_sheet_with_coordinates_is_loaded(rig, tmp_path):
    path = workbook(tmp_path / "w.xlsx", notes=[("text",), ("made in May",)], places=PLACES)
    rig.load(path)
    assert rig.query("select name, round(st_y(geom)::numeric, 2)::float8 from geo.t order by id") == [
        ("Kigali", -1.95),
        ("Huye", -2.6),
    ]


def test_of_several_sheets_with_coordinates_one_must_be_named(rig, tmp_path):
    path = workbook(tmp_path / "w.xlsx", a=PLACES, b=PLACES[:2])
    with pytest.raises(AmbiguousLayer, match=r"2 sheets, 2 of them with coordinates: a, b"):
        rig.load(path)
    assert rig.load(path, layer_name="b").result.summary.rows_read == 1


def test_a_sheet_without_coordinates_lists_the_columns_it_has(rig, tmp_path):
    path = workbook(tmp_path / "w.xlsx", places=[("name", "northing"), ("Kigali", 5)])
    with pytest.raises(ColumnsMissing, match=r"Sheet 'places' .*name, northing"):
        rig.load(path)


def test_formulas_are_read_as_last_calculated_and_said_to_be(rig, tmp_path):
    rows = [("n", "lat", "lon"), (1, -2, Formula("A2+29", 30)), (2, -2, Formula("A3+29", 31))]
    done = rig.load(workbook(tmp_path / "w.xlsx", s=rows))
    assert found(done) == {FindingCode.CRS_ASSUMED: 1, FindingCode.FORMULA: 2}
    assert rig.query("select st_x(geom) from geo.t order by id") == [(30,), (31,)]


def test_formulas_that_were_never_calculated_are_named_by_row(rig, tmp_path):
    rows = [("n", "lat", "lon"), (1, -2, 30), (Formula("A2*2"), -2, 31), (3, -2, Formula("29+3"))]
    done = rig.load(workbook(tmp_path / "w.xlsx", s=rows))
    (finding,) = [f for f in done.result.findings if f.code is FindingCode.FORMULA_NOT_CALCULATED]
    assert (finding.count, finding.feature_ids) == (2, (2, 3))
    assert rig.query("select id, n from geo.t order by id") == [(1, 1), (2, None)]


def test_a_workbook_that_is_a_bomb_is_refused(rig, tmp_path):
    path = tmp_path / "w.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (60 << 20))
    with pytest.raises(UnreadableSource, match="zip bomb"):
        rig.load(path)


@pytest.mark.parametrize("suffix", ["tab", "mif"])
def test_mapinfo_is_read_with_its_siblings(rig, tmp_path, suffix):
    folder = tmp_path / "made"
    folder.mkdir()
    frame = GeoDataFrame({"n": [7]}, geometry=[shapely.box(30, -2, 30.5, -1.5)], crs=4326)
    pyogrio.write_dataframe(frame, folder / f"m.{suffix}", driver="MapInfo File")
    for part in folder.iterdir():
        rig.put(part)
    rig.run(rig.parameters(f"m.{suffix}"))
    assert rig.query("select n, st_area(geom) from geo.t") == [(7, pytest.approx(0.25, rel=1e-6))]


def test_a_drawing_needs_the_crs_it_was_drawn_in(rig, tmp_path):
    path = tmp_path / "d.dxf"
    lines = [shapely.LineString([(500_000, 9_780_000), (500_100, 9_780_000)])]
    pyogrio.write_dataframe(GeoDataFrame({"Layer": ["road"]}, geometry=lines, crs=32735), path, driver="DXF")
    done = rig.load(path, input_crs="EPSG:32735")
    assert done.result.geometry_type.startswith("MultiLineString")
    ((length,),) = rig.query("select st_length(geom::geography) from geo.t")
    # The central meridian's scale is 0.9996: 100 m on the map are 100.04 on the ground.
    assert length == pytest.approx(100 / 0.9996, abs=0.01)


def test_a_seamless_table_that_names_other_files_is_refused(rig, tmp_path):
    path = tmp_path / "m.tab"
    path.write_text('!table\n!version 300\nbegin_metadata\n"\\IsSeamless" = "TRUE"\nend_metadata\n')
    with pytest.raises(UnreadableSource, match="MapInfo"):
        rig.load(path)


def test_geometry_as_hexadecimal_wkb_in_a_text_table_is_read(rig, tmp_path):
    rows = [shapely.to_wkb(shapely.Point(30, -2), hex=True), shapely.to_wkb(shapely.Point(31, -3), hex=True), "00zz"]
    path = tmp_path / "p.csv"
    path.write_text("n,geom\n" + "".join(f"{i},{g}\n" for i, g in enumerate(rows)))
    done = rig.load(path)
    assert rig.query("select n, st_x(geom), st_y(geom) from geo.t order by n") == [(0, 30, -2), (1, 31, -3)]
    assert found(done)[FindingCode.UNREADABLE_GEOMETRY] == 1


@pytest.mark.parametrize("srid", [4326, 4267])
def test_wkb_as_postgis_writes_it_keeps_heights_and_measures_and_loses_its_srid(rig, tmp_path, srid):
    wanted = [
        "LINESTRING ZM (1 2 3 4,5 6 7 8)",
        "MULTILINESTRING ZM ((1 1 1 1,2 2 2 2))",
        "LINESTRING ZM (0 0 0 5,1 1 0 6)",
    ]
    [hexed] = zip(
        *[rig.query("select st_ashexewkb(st_geomfromtext(%s, %s))", text, srid)[0] for text in wanted], strict=True
    )
    path = tmp_path / "f.csv"
    path.write_text("n,geom\n" + "".join(f"{n},{text}\n" for n, text in enumerate(hexed)))
    rig.load(path, input_crs="EPSG:4326", geometry_params={"keep_m": True})
    rows = [text for (text,) in rig.query("select st_astext(geom) from geo.t order by n")]
    assert rows == [
        "MULTILINESTRING ZM ((1 2 3 4,5 6 7 8))",
        "MULTILINESTRING ZM ((1 1 1 1,2 2 2 2))",
        "MULTILINESTRING ZM ((0 0 0 5,1 1 0 6))",
    ]
    path.write_text("n,geom\n" + f"1,{rig.query('select st_ashexewkb(st_setsrid(st_point(1, 2), %s))', srid)[0][0]}\n")
    rig.load(path, input_crs="EPSG:4326", table_name="p")
    assert rig.query("select st_astext(geom), st_srid(geom) from geo.p") == [("POINT(1 2)", 4326)]


@pytest.mark.parametrize(("key", "columns"), [("parcel_id", ["parcel_id", "a"]), ("fid", ["a"])])
def test_a_key_of_a_geopackage_that_the_data_has_of_its_own_is_kept(rig, tmp_path, key, columns):
    frame = GeoDataFrame({"a": ["x", "y"]}, geometry=[shapely.Point(1, 2), shapely.Point(3, 4)], crs=4326)
    pyogrio.write_dataframe(frame, tmp_path / "p.gpkg", layer_options={"FID": key})
    with closing(sqlite3.connect(tmp_path / "p.gpkg")) as database:
        for trigger in [n for (n,) in database.execute("select name from sqlite_master where type = 'trigger'")]:
            database.execute(f'drop trigger "{trigger}"')
        database.execute(f"update p set {key} = {key} + 700")
        database.commit()
    done = rig.load(tmp_path / "p.gpkg")
    assert set(done.result.column_definitions) == set(columns)
    rows = [(1, 701, "x"), (2, 702, "y")] if key == "parcel_id" else [(1, "x"), (2, "y")]
    assert rig.query(f"select id, {', '.join(columns)} from geo.t order by id") == rows


@pytest.mark.parametrize("suffix", ["fgb", "gml"])
@pytest.mark.parametrize(("zone", "kind"), [("+05:30", "timestamptz"), (None, "timestamp")])
def test_times_keep_their_zone_in_formats_that_have_it_in_each_value(rig, tmp_path, suffix, zone, kind):
    times = pa.array([datetime(2024, 1, 1, 10, tzinfo=UTC), None], pa.timestamp("ms", tz=zone))
    other = pa.array([datetime(2024, 1, 1, 7, tzinfo=UTC)] * 2, pa.timestamp("ms"))
    table = pa.table({"t": times, "local": other, "geometry": [shapely.Point(1, 2).wkb] * 2})
    path = tmp_path / f"t.{suffix}"
    pyogrio.write_arrow(table, path, geometry_name="geometry", geometry_type="Point", crs="EPSG:4326")
    rig.load(path)
    moment = "t at time zone 'UTC'" if zone else "t"
    query = f"select distinct t::{kind} = t, pg_typeof(t)::text, ({moment})::text, local::text from geo.t where id = 1"
    spelled = "timestamp with time zone" if zone else "timestamp without time zone"
    assert rig.query(query) == [(True, spelled, "2024-01-01 10:00:00", "2024-01-01 07:00:00")]


def test_times_of_gpx_are_moments(rig, tmp_path):
    path = tmp_path / "w.gpx"
    point = '<wpt lat="-2" lon="30"><time>2024-01-01T10:00:00Z</time></wpt>'
    space = 'xmlns="http://www.topografix.com/GPX/1/1"'
    path.write_text(f'<?xml version="1.0"?><gpx version="1.1" creator="x" {space}>{point}</gpx>')
    rig.load(path)
    assert rig.query("select time from geo.t") == [(datetime(2024, 1, 1, 10, tzinfo=UTC),)]


def test_days_of_a_shapefile_that_no_calendar_has_do_not_become_others(rig, tmp_path):
    days = [date(2024, 2, 29), *(date(2024, 1, day) for day in range(1, 6)), None]
    table = pa.table({"n": range(7), "d": pa.array(days), "geometry": [shapely.Point(1, 2).wkb] * 7})
    path = tmp_path / "d.shp"
    pyogrio.write_arrow(table, path, geometry_name="geometry", geometry_type="Point", crs="EPSG:4326")
    dbf = path.with_suffix(".dbf")
    raw = dbf.read_bytes()
    for day, none in zip(range(1, 5), ("20230229", "20240431", "20241301", "20240100"), strict=True):
        raw = raw.replace(f"2024010{day}".encode(), none.encode())
    dbf.write_bytes(raw)
    done = rig.load(path)
    assert rig.query("select n, d from geo.t where d is not null order by id") == [
        (0, date(2024, 2, 29)),
        (5, date(2024, 1, 5)),
    ]
    (noticed,) = [f for f in done.result.findings if f.code is FindingCode.DATE_OUT_OF_RANGE]
    assert (noticed.count, noticed.feature_ids) == (4, (2, 3, 4, 5))


def test_an_archive_in_an_archive_is_loaded(rig, tmp_path):
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("p.csv", "lat,lon,n\n-2,30,5\n")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(inner, "in/inner.zip")
    rig.load(tmp_path / "outer.zip")
    assert rig.query("select n from geo.t") == [(5,)]


def planned(folder: Path, path: Path, **options: object) -> dict[str, tuple[str, int]]:
    """The tables of a file: their types and their layers' feature counts."""
    unpacked = fetched = path
    if path.suffix == ".zip":
        fetched = folder / "unpacked"
        shutil.rmtree(fetched, ignore_errors=True)
        fetching.archives.unpack(unpacked, fetched, "c/f")
    parameters = ProcessVectorParameters.model_validate(
        {
            "blob_name": path.name,
            "file_extension": path.suffix,
            "table_name": "t",
            "access_level": "public",
            **options,
        }
    )
    plans = layers.planned_layers(fetched, parameters, 1)
    return {t.name: (t.geometry_type, plan.feature_count) for plan in plans for t in plan.tables}


def test_every_layer_becomes_a_table_when_asked(tmp_path):
    path = tmp_path / "f.gpkg"
    for layer, shape in (("Roads & Tracks", shapely.LineString([(0, 0), (1, 1)])), ("places", shapely.Point(1, 2))):
        pyogrio.write_dataframe(GeoDataFrame({"a": [1]}, geometry=[shape], crs=4326), path, layer=layer, append=True)
    with pytest.raises(AmbiguousLayer, match="all_layers"):
        planned(tmp_path, path)
    assert planned(tmp_path, path, all_layers=True) == {
        "t_roads_tracks": ("MultiLineString", 1),
        "t_places": ("Point", 1),
    }


def test_layers_of_any_name_become_tables(rig, tmp_path):
    path = tmp_path / "f.gpkg"
    names = ["Café; drop table", "Cafe drop table", "道路", "河川", "x" * 80, "x" * 81, "1st"]
    for layer in names:
        frame = GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=4326)
        pyogrio.write_dataframe(frame, path, layer=layer, append=True)
    tables = [t.table_name for t in rig.load(path, all_layers=True, table_name="t" * 30).result.tables]
    prefix = "t" * 30 + "_"
    named = {"cafe_drop_table", "cafe_drop_table_2", "layer_3", "layer_4", "_1st"}
    assert named <= {t.removeprefix(prefix) for t in tables}
    assert len(set(tables)) == len(names) and max(map(len, tables)) <= 63
    assert rig.query("select count(*) from geo.table_catalog") == [(len(names),)]


def test_of_several_layers_the_one_that_cannot_be_loaded_is_named(tmp_path):
    path = tmp_path / "f.gpkg"
    for layer, crs in (("places", 4326), ("roads", 3857)):
        frame = GeoDataFrame({"a": [1]}, geometry=[shapely.Point(1, 2)], crs=crs)
        pyogrio.write_dataframe(frame, path, layer=layer, append=True)
    with pytest.raises(CrsMismatch, match=r"f\.gpkg \(layer 'roads'\) states EPSG:3857"):
        planned(tmp_path, path, all_layers=True, input_crs="EPSG:4326")


@pytest.mark.parametrize("options", [{"all_layers": True}, {"layer_name": "roads"}])
def test_of_several_layers_the_one_that_cannot_be_read_to_its_end_is_named(rig, tmp_path, options):
    path = tmp_path / "f.gpkg"
    for layer in ("places", "roads"):
        frame = GeoDataFrame({"a": [1, 2]}, geometry=[shapely.Point(1, 2)] * 2, crs=4326)
        pyogrio.write_dataframe(frame, path, layer=layer, append=True)
    broken = "case when a = 1 then a else abs(-9223372036854775807 - 1) end"
    with closing(sqlite3.connect(path)) as database:
        database.execute("alter table roads rename to kept")
        database.execute(f"create view roads as select fid, geom, {broken} as a from kept")
        database.execute("delete from gpkg_ogr_contents")
        database.commit()
    with pytest.raises(UnreadableSource, match=r"f\.gpkg \(layer 'roads'\) cannot be read: .*overflow"):
        rig.load(path, **options)
    assert rig.query("select count(*) from geo.table_catalog") == [(0,)]


def test_every_file_of_an_archive_becomes_a_table_and_others_are_named(tmp_path):
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "lat,lon\n1,2\n")
        archive.writestr("b.csv", "lat,lon\n1,2\n3,4\n")
        archive.writestr("c.csv", "text\nx\n")
    assert planned(tmp_path, path, all_layers=True) == {"t_a": ("Point", 1), "t_b": ("Point", 2)}


@pytest.mark.parametrize("name", ["inner.jsonl", "inner.ndjson", "inner.json"])
def test_every_spelling_of_an_extension_is_found_in_an_archive(rig, tmp_path, name):
    path = tmp_path / "f.zip"
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"n": 1, "a": "x"},
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.txt", "lat,lon\n")
        archive.writestr(name, json.dumps(feature))
    done = rig.load(path)
    assert done.result.column_definitions == {
        "n": {"type": "integer", "source_name": "n", "position": 1},
        "a": {"type": "text", "source_name": "a", "position": 2},
    }


def test_findings_of_several_layers_keep_what_is_said_of_each(rig, tmp_path):
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "lat,lon,Café Olé\n1,2,x\n1,2\n")
        archive.writestr("b.csv", "lat,lon,Große Straße\n1,2,x\n1,2,x,y\n")
        archive.writestr("empty.csv", "lat,lon\n,\n")
        archive.writestr("text.csv", "text\nx\n")
    messages = {f.code: (f.count, f.message) for f in rig.load(path, all_layers=True).result.findings}
    left_out = "No table was made of text.csv. No table was made of empty."
    assert messages[FindingCode.LAYER_LEFT_OUT] == (2, left_out)
    renamed = "Columns were renamed: 'Café Olé' is café_olé. Columns were renamed: 'Große Straße' is große_straße."
    assert messages[FindingCode.RENAMED_COLUMN] == (2, renamed)
    bad_rows = "Lines with the wrong number of cells, left out: 2. One has 2 of 3: '1,2'. One has 4 of 3: '1,2,x,y'."
    assert messages[FindingCode.BAD_ROW] == (2, bad_rows)


def test_a_layer_of_unlike_types_becomes_a_table_for_each_kind_when_asked(tmp_path):
    path = tmp_path / "f.gpkg"
    shapes = [shapely.Point(1, 2), shapely.box(0, 0, 1, 1), shapely.MultiPoint([(3, 4), (5, 6)])]
    pyogrio.write_dataframe(
        GeoDataFrame({"a": [1, 2, 3]}, geometry=np.array(shapes), crs=4326), path, geometry_type="Unknown"
    )
    assert planned(tmp_path, path, geometry_params={"mixed": "split"}) == {
        "t_points": ("MultiPoint", 3),
        "t_polygons": ("MultiPolygon", 3),
    }
    assert planned(tmp_path, path, geometry_params={"mixed": "collection"}) == {"t": ("GeometryCollection", 3)}


def test_a_file_without_any_layer_to_load_is_refused(tmp_path):
    path = tmp_path / "f.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("c.csv", "text\nx\n")
    with pytest.raises(NoFeatures):
        planned(tmp_path, path, all_layers=True)


def test_fetching_twice_into_one_folder_leaves_the_source_as_it_was(rig, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("lat,lon\n-2,30\n")
    parameters = rig.parameters(rig.put(path))
    for _ in range(2):
        fetched = fetching.fetch(rig.storage, parameters.source, parameters.file_extension, tmp_path / "work")
        assert fetched.read_text() == "lat,lon\n-2,30\n"
    assert rig.storage.head(parameters.source).size == 14


def test_features_alike_in_everything_are_left_out_when_asked(rig, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("n,lat,lon\n1,-2,30\n1,-2,30\n2,-2,30\n1,-2,31\n1,-2,30\n")
    done = rig.load(path, geometry_params={"drop_duplicates": True})
    assert rig.query("select id from geo.t order by id") == [(1,), (3,), (4,)]
    (finding,) = [f for f in done.result.findings if f.code is FindingCode.DUPLICATE_FEATURES]
    assert (finding.count, finding.feature_ids) == (2, (2, 5))


def test_features_alike_in_everything_are_stored_and_reported(rig, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("n,lat,lon\n1,-2,30\n1,-2,30\n2,-2,30\n1,-2,31\n1,-2,30\n")
    done = rig.load(path)
    assert rig.query("select count(*) from geo.t") == [(5,)]
    (finding,) = [f for f in done.result.findings if f.code is FindingCode.REPEATED_FEATURES]
    assert (finding.count, finding.feature_ids, finding.severity) == (2, (2, 5), "warning")


def test_a_polygon_of_a_million_vertices_is_one_feature_like_any_other(rig, tmp_path):
    angles = np.linspace(0, 2 * np.pi, 1_000_000, endpoint=False)
    ring = np.column_stack((30 + np.cos(angles), -2 + np.sin(angles)))
    frame = GeoDataFrame({"a": [1]}, geometry=[shapely.Polygon(ring)], crs=4326)
    for name, options in (("f.geojson", {}), ("f.gpkg", {"overwrite": True, "create_tile_view": True})):
        pyogrio.write_dataframe(frame, tmp_path / name)
        rig.load(tmp_path / name, **options)
        [(vertices, area)] = rig.query("select st_npoints(geom), st_area(geom) from geo.t")
        assert (vertices, round(area, 5)) == (1_000_001, round(np.pi, 5))
    assert rig.query("select max(st_npoints(geom)) <= 256, count(*) > 3000 from geo.t_tiles") == [(True, True)]


def wide(folder: Path, columns: int, cell: str) -> Path:
    path = folder / "f.csv"
    names = ",".join(f"c{i}" for i in range(columns))
    path.write_text(f"lat,lon,{names}\n1,2,{','.join([cell] * columns)}\n")
    return path


def test_the_file_of_a_feature_that_is_refused_is_named(rig, tmp_path):
    bow_tie = shapely.Polygon([(0, 0), (1, 1), (0, 1), (1, 0)])
    pyogrio.write_dataframe(GeoDataFrame({"a": [1]}, geometry=[bow_tie], crs=4326), tmp_path / "tie.gpkg")
    with pytest.raises(InvalidGeometry, match=r"bronze-vectors/tie\.gpkg: Feature 1 is not valid"):
        rig.load(tmp_path / "tie.gpkg", on_invalid="fail")


@pytest.mark.parametrize("option", ["input_crs", "target_crs"])
def test_a_crs_that_does_not_exist_is_named_with_its_option(rig, tmp_path, option):
    (tmp_path / "p.csv").write_text("lat,lon\n1,2\n")
    with pytest.raises(InvalidRequest, match=rf"{option} '?EPSG:999999'? is not"):
        rig.load(tmp_path / "p.csv", **{option: "EPSG:999999"})


def test_a_table_of_very_many_columns_is_loaded_where_postgresql_can_hold_it(rig, tmp_path):
    rig.load(wide(tmp_path, 1_500, "x"))
    assert rig.query("select c0, c1499 from geo.t") == [("x", "x")]


@pytest.mark.parametrize(
    ("columns", "cell", "why"),
    [(2_000, "x", "has 2,002 columns; a table holds at most 1,598"), (1_500, "1.5", "row is too big")],
)
def test_more_columns_than_postgresql_holds_are_refused_with_the_reason(rig, tmp_path, columns, cell, why):
    with pytest.raises(UnsupportedFormat, match=why):
        rig.load(wide(tmp_path, columns, cell))
    assert rig.query("select count(*) from pg_class where strpos(relname, '__stg_') > 0") == [(0,)]
