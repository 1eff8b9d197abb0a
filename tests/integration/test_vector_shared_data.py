"""Every vector file of the shared data goes through process_vector and ends as GDAL's own measurements say."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from core.contracts.vector import FindingCode
from core.errors import GeomachineError
from tests.support.vector import VectorRig

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
_FACTS = _DATA / "facts.json"
_READ_BY_OTHERS = (".osm.pbf",)

#: Files that must be refused, and why. Everything else is accepted.
REFUSED = {
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
_LEFT_OUT = (FindingCode.NULL_GEOMETRY, FindingCode.EMPTY_GEOMETRY, FindingCode.UNREADABLE_GEOMETRY)
_MOVES_EXTENT = {
    FindingCode.REPAIRED_GEOMETRY,
    FindingCode.UNREADABLE_GEOMETRY,
    FindingCode.COORDINATES_OUT_OF_RANGE,
}

pytestmark = pytest.mark.shared_data


def _files() -> dict[str, dict]:
    if not _FACTS.exists():
        return {}
    facts = json.loads(_FACTS.read_text())
    return {k.removeprefix("vector/"): v for k, v in facts.items() if k.startswith("vector/")}


def _ordinary() -> list[str]:
    return [n for n in _files() if n not in REFUSED and not n.endswith(_READ_BY_OTHERS)]


def _layers() -> list[tuple[str, str]]:
    ambiguous = [n for n, code in REFUSED.items() if code == "AMBIGUOUS_LAYER" and n in _files()]
    return [(n, layer["name"]) for n in ambiguous for layer in _files()[n]["layers"] if layer.get("types")]


@pytest.fixture
def rig(db: str, tmp_path: Path, shared_data: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def _left_out(done) -> int:
    return sum(f.count for f in done.result.findings if f.code in _LEFT_OUT)


@pytest.mark.parametrize("name", _ordinary())
def test_an_ordinary_file_is_loaded_whole(rig, shared_data, name):
    path, facts = shared_data / "vector" / name, _files()[name]
    layer = next(la for la in facts["layers"] if name.endswith(".csv") or la.get("types") or la["features"])
    done = rig.load(path)
    summary, result = done.result.summary, done.result
    assert summary.rows_read == layer["features"]
    assert summary.total_rows_uploaded == layer["features"] - _left_out(done)
    if "null" in layer and name != "dirty/invalid_unclosed.geojson":  # its ring is closed here
        assert _left_out(done) >= layer["null"]
    assert rig.query("select count(*), count(distinct id), bool_and(not st_isempty(geom)) from geo.t") == [
        (summary.total_rows_uploaded, summary.total_rows_uploaded, True)
    ]
    if name.endswith(".parquet"):
        assert len(result.column_definitions) == len(pq.read_schema(path).names) - 1
    else:
        assert len(result.column_definitions) == layer["fields"]
    if (layer["crs"] or "").startswith("EPSG:") and layer["crs"] != "EPSG:4979":
        assert result.source_crs == layer["crs"]


@pytest.mark.parametrize("name", [n for n in _ordinary() if not n.endswith((".csv", ".parquet", ".zip"))])
def test_the_extent_is_the_files_own(rig, shared_data, name):
    path = shared_data / "vector" / name
    layer = next(la for la in _files()[name]["layers"] if la["features"])
    done = rig.load(path)
    if done.result.source_crs != "EPSG:4326" or {f.code for f in done.result.findings} & _MOVES_EXTENT:
        pytest.skip("the table's extent is not the file's, for a reason it reports")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = pyogrio.raw.read(path, layer=layer["name"], columns=[])[2]
    expected = shapely.total_bounds(shapely.from_wkb(shapes))
    assert done.result.bbox == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("name", [n for n in REFUSED if n in _files()])
def test_a_file_that_cannot_be_used_is_refused_with_its_name_and_leaves_nothing(rig, shared_data, name):
    with pytest.raises(GeomachineError) as refused:
        rig.load(shared_data / "vector" / name)
    assert refused.value.code == REFUSED[name]
    assert Path(name).name in refused.value.message
    assert not rig.tables.exists("geo", "t")


@pytest.mark.parametrize(("name", "layer"), _layers())
def test_every_layer_can_be_chosen_and_is_loaded(rig, shared_data, name, layer):
    facts = next(la for la in _files()[name]["layers"] if la["name"] == layer)
    try:
        done = rig.load(shared_data / "vector" / name, layer_name=layer, **_crs(facts))
    except GeomachineError as e:
        assert (e.code, facts["null"]) == ("NO_FEATURES", facts["features"]) or "empty" in layer, str(e)
        return
    assert done.result.summary.rows_read == facts["features"]
    assert done.result.summary.total_rows_uploaded == facts["features"] - _left_out(done)
    assert len(done.result.column_definitions) == facts["fields"]


def _crs(facts: dict) -> dict[str, str]:
    return {} if facts["crs"] else {"input_crs": "EPSG:4326"}


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
