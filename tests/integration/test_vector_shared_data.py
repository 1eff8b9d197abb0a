"""Every vector file of the shared data goes through the public API and ends as GDAL's own measurements say."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pyproj
import pytest
import shapely

from core.contracts.storage import BlobName
from core.contracts.vector_findings import FindingCode
from core.errors import GeomachineError
from tests.support.published import Platform, platform
from tests.support.vector import VectorRig

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
_FACTS = _DATA / "facts.json"
#: Which layer of a workbook GDAL lists first says nothing; its only sheet with coordinates is the one to load.
_WORKBOOK = "formats/demo_today.xlsx"
#: GDAL does not look into it; it holds the same points as the archive inside.
_ARCHIVE_IN_ARCHIVE = "dirty/zip-in-zip.zip"

#: Files that must be refused, and why. Everything else is accepted.
REFUSED = {
    "formats/sample.osm.pbf": "UNSUPPORTED_FORMAT",
    "dirty/fail-corrupted-file.gpx": "UNREADABLE_SOURCE",
    "dirty/fail-invalid.kml": "UNREADABLE_SOURCE",
    "dirty/fail-duplicate-layer-names.kml": "NO_FEATURES",
    "dirty/fail-empty-features-only.kml": "NO_FEATURES",
    "dirty/fail-more-than-15-layers-original.kml": "NO_FEATURES",
    "dirty/fail-no-features.gpx": "NO_FEATURES",
    "dirty/invalid_incorrect_geometry_data_type.geojson": "NO_FEATURES",
    "dirty/invalid_less_three_unique_nodes.geojson": "NO_FEATURES",
    "dirty/problematic_feature_null_geometry.geojson": "NO_FEATURES",
    "dirty/no-dbf.zip": "UNREADABLE_SOURCE",
    "dirty/noshp.zip": "UNSUPPORTED_FORMAT",
    "dirty/points_epsg2249_no_prj.shp": "CRS_MISSING",
    "encodings/big5.shp": "CRS_MISSING",
    "encodings/chinese.shp": "CRS_MISMATCH",
    "encodings/utf16_le_bom.csv": "COLUMNS_MISSING",
    "encodings/utf8_bom.csv": "COLUMNS_MISSING",
    "dirty/fail-more-than-15-layers.kml": "AMBIGUOUS_LAYER",
    "dirty/ok-layers-folders-emptygeometries.kml": "AMBIGUOUS_LAYER",
    "dirty/ok-special-character-layer.kml": "AMBIGUOUS_LAYER",
    "formats/blockgroups_multishapefile.zip": "AMBIGUOUS_LAYER",
    "formats/multiple_shapefiles.zip": "AMBIGUOUS_LAYER",
    "formats/blue_hills.gpx": "AMBIGUOUS_LAYER",
    "formats/mixed_crs.gpkg": "AMBIGUOUS_LAYER",
    "formats/same_crs_points.gpkg": "AMBIGUOUS_LAYER",
    "formats/testopenfilegdb.gdb.zip": "AMBIGUOUS_LAYER",
}
_LEFT_OUT = (
    FindingCode.NULL_GEOMETRY,
    FindingCode.EMPTY_GEOMETRY,
    FindingCode.UNREADABLE_GEOMETRY,
    FindingCode.UNLIKE_GEOMETRY,
)
#: A repair or a feature left out can only take something away.
_SHRINKS_EXTENT = {FindingCode.REPAIRED_GEOMETRY, FindingCode.UNREADABLE_GEOMETRY, FindingCode.UNLIKE_GEOMETRY}
#: What each of the deliberately faulty files must be accepted with.
REPORTED = {
    "dirty/counties.zip": {"repaired_geometry", "crs_assumed"},
    "dirty/bom.geojson": {"repaired_geometry"},
    "dirty/six_counties_three_null.json": {"null_geometry", "repaired_geometry"},
    "dirty/empty-geoms.geojson": {"null_geometry", "mixed_geometry_types"},
    "dirty/points_wgs84_no_prj.shp": {"crs_assumed"},
    "dirty/lat_lon-missing_val.csv": {"null_geometry"},
    "dirty/invalid_exterior_not_ccw.geojson": {"ring_orientation"},
    "dirty/invalid_interior_not_cw.geojson": {"ring_orientation"},
    "dirty/problematic_duplicate_nodes.geojson": {"repeated_points"},
    "dirty/problematic_self_intersection_large.geojson": {"repaired_geometry"},
    "dirty/problematic_self_intersection_small.geojson": {"repaired_geometry"},
    "dirty/problematic_outside_lat_lon_boundaries.geojson": {"coordinates_out_of_range"},
    "dirty/invalid_unclosed.geojson": {"repaired_geometry"},
    "dirty/problematic_crosses_antimeridian.geojson": {"crosses_antimeridian"},
    "dirty/problematic_zero_length_linestring.geojson": {"degenerate_line"},
    "rwanda/rwanda_districts_with_points.geojson": {"mixed_geometry_types"},
    "rwanda/wof_rwanda_localities.geojsonl": {"mixed_geometry_types"},
    "formats/line_zm.gpkg": {"m_dropped"},
}

pytestmark = pytest.mark.shared_data


def _files() -> dict[str, dict]:
    if not _FACTS.exists():
        return {}
    facts = json.loads(_FACTS.read_text())
    return {k.removeprefix("vector/"): v for k, v in facts.items() if k.startswith("vector/")}


def _ordinary() -> list[str]:
    return [n for n in _files() if n not in REFUSED]


def _layers() -> list[tuple[str, str]]:
    ambiguous = [n for n, code in REFUSED.items() if code == "AMBIGUOUS_LAYER" and n in _files()]
    return [(n, layer["name"]) for n in ambiguous for layer in _files()[n]["layers"] if layer.get("types")]


@pytest.fixture
def geo(db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path / "home") as running:
        yield running


@pytest.fixture
def rig(db: str, tmp_path: Path, shared_data: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def processed(geo: Platform, path: Path, **options: object) -> dict:
    """The status of a file's job at its end; a shapefile's siblings are uploaded with it."""
    for part in path.parent.glob(f"{path.stem}.*") if path.suffix == ".shp" else [path]:
        geo.upload(part, container="bronze-vectors")
    name = "x.gdb" if path.name.endswith(".gdb.zip") else None
    blob = BlobName("bronze-vectors", path.name) if name is None else geo.upload(path, name, "bronze-vectors")
    answer = geo.submit(blob, options=options)
    assert answer.status_code == 202, answer.text
    while geo.api.drain():
        pass
    return geo.api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")


def left_out(result: dict) -> int:
    return sum(f["count"] for f in result["findings"] if f["code"] in _LEFT_OUT)


def codes(result: dict) -> set[str]:
    return {f["code"] for f in result["findings"]}


@pytest.mark.parametrize("name", _ordinary())
def test_an_ordinary_file_ends_as_it_was_measured(geo, shared_data, name):
    path, layer = shared_data / "vector" / name, _measured(name)
    status = processed(geo, path)
    assert status["job_status"] == "completed", status["job_error"]
    result = status["job_result"]
    summary = result["summary"]
    assert summary["rows_read"] == layer["features"]
    assert summary["total_rows_uploaded"] == layer["features"] - left_out(result)
    if "null" in layer and name != "dirty/invalid_unclosed.geojson":  # its ring is closed here
        assert left_out(result) >= layer["null"]
    assert REPORTED.get(name, set()) <= codes(result)
    tables = [t["table_name"] for t in result["tables"]]
    rows, distinct, boxes, stored = 0, set(), [], set()
    for table in tables:
        [(count, ids, types, whole, *box)] = geo.api.query(
            "select count(*), array_agg(id), array_agg(distinct st_geometrytype(geom)), bool_and(not st_isempty(geom)),"
            " st_xmin(st_extent(geom)), st_ymin(st_extent(geom)), st_xmax(st_extent(geom)), st_ymax(st_extent(geom))"
            f" from geo.{table}"
        )
        rows, distinct, stored = rows + count, distinct | set(ids), stored | set(types)
        told = geo.api.query(
            "select feature_count, bbox_minx, bbox_miny, bbox_maxx, bbox_maxy from geo.table_catalog"
            f" where table_name = '{table}'"
        )
        west, south, east, north = box
        assert told == [(count, max(west, -180), max(south, -90), min(east, 180), min(north, 90))]
        assert whole
        boxes.append(box)
    assert rows == len(distinct) == summary["total_rows_uploaded"]
    assert len(result["column_definitions"]) == _columns(path, layer)
    if (layer["crs"] or "").startswith("EPSG:") and layer["crs"] != "EPSG:4979":
        assert result["source_crs"] == layer["crs"]
    if layer.get("types"):
        kinds = {t.removeprefix("Multi") for t in layer["types"]}
        assert {t.removeprefix("ST_").removeprefix("Multi") for t in stored} <= kinds
        assert len(tables) == len(kinds)
    if not name.endswith((".csv", ".parquet", ".xlsx", ".zip")):
        _require_extent(path, layer["name"], result, boxes)


def _measured(name: str) -> dict:
    if name == _ARCHIVE_IN_ARCHIVE:
        name = "dirty/points.zip"
    layers = _files()[name]["layers"] if name != _WORKBOOK else [{"features": 50, "fields": 7, "crs": None}]
    return next(la for la in layers if name.endswith((".csv", ".xlsx")) or la.get("types") or la["features"])


#: Their features have numbers as ids, which GDAL, who measured the fields, does not count as one.
_NUMBERED = {"wof_rwanda_counties_odd.geojson", "wof_rwanda_localities.geojsonl"}


def _columns(path: Path, layer: dict) -> int:
    if path.suffix == ".parquet":
        return len(pq.read_schema(path).names) - 1
    return int(layer["fields"]) + (path.name in _NUMBERED)


def _require_extent(path: Path, layer: str, result: dict, boxes: list[list[float]]) -> None:
    """The tables' extent is the source's, reprojected where the CRS differs, or inside it for a reported reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = shapely.from_wkb(pyogrio.raw.read(path, layer=layer, columns=[])[2], on_invalid="fix")
    if result["source_crs"] != "EPSG:4326":
        move = pyproj.Transformer.from_crs(result["source_crs"], "EPSG:4326", always_xy=True).transform
        shapes = shapely.transform(shapes, move, interleaved=False)
    expected = shapely.total_bounds(shapes)
    found = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    if codes(result) & _SHRINKS_EXTENT:
        assert shapely.box(*expected).buffer(1e-9).covers(shapely.box(*found))
    else:
        assert found == pytest.approx(tuple(expected), abs=1e-9)
    beyond = bool((np.abs(expected[[0, 2]]) > 180 + 1e-9).any() or (np.abs(expected[[1, 3]]) > 90 + 1e-9).any())
    assert not beyond or FindingCode.COORDINATES_OUT_OF_RANGE in codes(result) or codes(result) & _SHRINKS_EXTENT


@pytest.mark.parametrize("name", [n for n in REFUSED if n in _files()])
def test_a_file_that_cannot_be_used_is_refused_with_its_name_and_leaves_nothing(geo, shared_data, name):
    path = shared_data / "vector" / name
    if REFUSED[name] == "UNSUPPORTED_FORMAT" and path.suffix == ".pbf":
        answer = geo.submit(geo.upload(path, container="bronze-vectors"))
        assert (answer.status_code, answer.json()["code"]) == (400, REFUSED[name])
        return
    status = processed(geo, path)
    assert status["job_status"] == "failed"
    assert REFUSED[name] in str(status["job_error"])
    assert geo.api.query("select tablename from pg_tables where schemaname = 'geo' and tablename ~ '^data'") == []
    assert geo.left_behind()["rows"] == 0


@pytest.mark.parametrize(("name", "layer"), _layers())
def test_every_layer_can_be_chosen_and_is_loaded(rig, shared_data, name, layer):
    facts = next(la for la in _files()[name]["layers"] if la["name"] == layer)
    given = {} if facts["crs"] else {"input_crs": "EPSG:4326"}
    try:
        done = rig.load(shared_data / "vector" / name, layer_name=layer, **given)
    except GeomachineError as e:
        assert (e.code, facts["null"]) == ("NO_FEATURES", facts["features"]) or "empty" in layer, str(e)
        return
    out = sum(f.count for f in done.result.findings if f.code in _LEFT_OUT)
    assert done.result.summary.rows_read == facts["features"]
    assert done.result.summary.total_rows_uploaded == facts["features"] - out
    assert len(done.result.column_definitions) == facts["fields"]


#: Features compared one by one with what OGC API Features serves; reprojected ones within a micrometre's degree.
ROUND_TRIPS = [
    "rwanda/rwa_adm1_2006_NISR_WGS1984_20181002.shp",
    "rwanda/hotosm_rwa_roads_lines_filtered.shp",
    "rwanda/wss.geojson",
    "rwanda/Training_samples_Kicukiro.geojson",
    "rwanda/grid.geojson",
    "buildings/kampala_buildings_west.gpkg",
    "events/GEDEvent_v23_1.geojson",
    "formats/tl.gpkg",
    "formats/countries.fgb",
    "global/ne_10m_admin_0_disputed_areas.json",
    "encodings/san_andres_y_providencia_location.shp",
]


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_features_are_served_as_the_source_has_them(geo, shared_data, name):
    path = shared_data / "vector" / name
    status = processed(geo, path)
    assert status["job_status"] == "completed", status["job_error"]
    geo.approve(status)
    result = status["job_result"]
    names = {d["source_name"]: column for column, d in result["column_definitions"].items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = pyogrio.read_dataframe(path, use_arrow=True, datetime_as_string=True)
    shapes = source.geometry.to_numpy()
    if result["source_crs"] != "EPSG:4326":
        move = pyproj.Transformer.from_crs(result["source_crs"], "EPSG:4326", always_xy=True).transform
        shapes = shapely.transform(shapes, move, interleaved=False)
    repaired = {i for f in result["findings"] if f["code"] == "repaired_geometry" for i in f["feature_ids"]}
    answer = geo.public.get(f"/api/features/collections/geo.{result['table_name']}/items", params={"limit": 10000})
    assert answer.status_code == 200, answer.text
    served = {f["properties"].get("id", f.get("id")): f for f in answer.json()["features"]}
    assert len(served) == len(source)
    for number, row in enumerate(source.drop(columns="geometry").to_dict("records"), 1):
        feature = served[number] if number in served else served[str(number)]
        for column, value in row.items():
            assert same(feature["properties"][names[column]], value), (number, column)
        if number not in repaired:
            found = shapely.geometry.shape(feature["geometry"])
            # Nine decimals are served: a tenth of a millimetre.
            assert shapely.equals_exact(found, _multi(shapes[number - 1], found), 1e-9)


def _multi(shape: shapely.Geometry, like: shapely.Geometry) -> shapely.Geometry:
    flat = shapely.force_2d(shape)
    return flat if flat.geom_type == like.geom_type else type(like)([flat])


def same(served: object, value: object) -> bool:
    """The values of JSON and of the source; null, not-a-number and a missing time are one."""
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return served is None
    if isinstance(value, str) and isinstance(served, str):
        return served == value or served.replace("Z", "") == value.replace("Z", "").removesuffix("+00:00")
    if isinstance(value, str) and served is not None:
        return served == json.loads(value)
    if hasattr(value, "tolist"):
        return served == value.tolist()
    return served == value


@pytest.mark.parametrize(
    ("name", "column", "text"),
    [
        ("encodings/latin1-property.shp", "name", "México"),
        ("encodings/latin1-property.json", "name", "México"),
        ("encodings/big5.shp", "name", "國語"),
        ("encodings/san_andres_y_providencia_location.shp", "name", "San Andrés"),
    ],
)
def test_text_arrives_in_unicode_whatever_the_encoding(rig, shared_data, name, column, text):
    given = {"input_crs": "EPSG:3857"} if "big5" in name else {}
    rig.load(shared_data / "vector" / name, **given)
    assert (text,) in rig.query(f"select {column} from geo.t")


def test_the_compound_crs_of_berkeley_keeps_its_horizontal_part(rig, shared_data):
    done = rig.load(shared_data / "vector/formats/us-ca-berkeley-excerpt.zip")
    assert done.result.source_crs == "EPSG:32610"
    west, south, east, north = done.result.bbox
    assert -122.33 < west < east < -122.23 and 37.84 < south < north < 37.91


def test_names_of_who_s_on_first_keep_their_origin(rig, shared_data):
    done = rig.load(shared_data / "vector/rwanda/wof_rwanda_counties_odd.geojson")
    assert done.result.column_definitions["name_kin_x_preferred"]["source_name"] == "name:kin_x_preferred"
    types = {d["type"] for d in done.result.column_definitions.values()}
    assert {"jsonb", "text[]", "integer[]", "date", "double precision"} <= types
