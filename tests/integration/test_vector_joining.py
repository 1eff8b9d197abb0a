"""append and upsert: rows join a table that is there, all of them or none, and once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.contracts.storage import BlobName
from core.errors import ColumnsMissing, Conflict, DuplicateKey, NotFound, SchemaMismatch, TargetChanged
from tests.support.api import Api
from tests.support.vector import CONTAINER, VectorRig, geojson, point


@pytest.fixture
def rig(db: str, tmp_path: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def table(rig: VectorRig) -> list[tuple]:
    return rig.query("select id, code, n, st_astext(geom) from geo.t order by id")


def start(rig: VectorRig, folder: Path, **options: object) -> None:
    rig.load(geojson(folder, (point(1, 1), {"code": "a", "n": 1}), (point(2, 2), {"code": "b", "n": 2})), **options)


def test_appended_rows_get_new_ids_and_the_catalogue_and_item_speak_of_all_rows(rig, tmp_path):
    start(rig, tmp_path)
    done = rig.load(geojson(tmp_path, (point(5, -7), {"code": "a", "n": 9}), name="g.geojson"), write_mode="append")
    assert table(rig) == [(1, "a", 1, "POINT(1 1)"), (2, "b", 2, "POINT(2 2)"), (3, "a", 9, "POINT(5 -7)")]
    assert rig.query("select feature_count, bbox_minx, bbox_miny, bbox_maxx, bbox_maxy from geo.table_catalog") == [
        (3, 1, -7, 5, 2)
    ]
    assert (done.item["id"], done.item["bbox"]) == ("postgis-geo-t", [1, -7, 5, 2])
    assert done.item["properties"]["postgis:row_count"] == 3
    assert done.result.summary.total_rows_uploaded == 1 and done.result.tables[0].row_count == 3
    runs = rig.query(
        "select source_file, write_mode::text, status::text, rows_written from app.vector_etl_tracking order by 1"
    )
    assert runs == [
        ("bronze-vectors/f.geojson", "create", "completed", 2),
        ("bronze-vectors/g.geojson", "append", "completed", 1),
    ]
    assert rig.query("select count(*) from pg_class where strpos(relname, '__stg_') > 0") == [(0,)]


def test_upserted_rows_replace_those_of_their_key_and_keep_the_id(rig, tmp_path):
    start(rig, tmp_path)
    rows = (point(20, 20), {"code": "b", "n": 22}), (point(3, 3), {"code": "c", "n": 3})
    rig.load(geojson(tmp_path, *rows), write_mode="upsert", upsert_key=["code"])
    assert table(rig) == [(1, "a", 1, "POINT(1 1)"), (2, "b", 22, "POINT(20 20)"), (4, "c", 3, "POINT(3 3)")]
    # The extent is that of the rows that are there now: nothing is left of b's former place.
    assert rig.query("select feature_count, bbox_minx, bbox_maxx from geo.table_catalog") == [(3, 1, 20)]


def test_upsert_takes_the_primary_key_that_the_table_was_made_with(rig, tmp_path):
    start(rig, tmp_path, primary_key="code")
    key = rig.query(
        "select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'geo.t'::regclass and contype = 'p'"
    )
    assert key == [("PRIMARY KEY (code)",)]
    rig.load(geojson(tmp_path, (point(9, 9), {"code": "a", "n": 5})), write_mode="upsert")
    assert table(rig) == [(1, "a", 5, "POINT(9 9)"), (2, "b", 2, "POINT(2 2)")]


def test_appended_rows_of_a_key_that_is_there_are_refused_with_what_to_send(rig, tmp_path):
    start(rig, tmp_path, primary_key="code")
    with pytest.raises(DuplicateKey, match=r"\(code\)=\(a\) already exists.* Send write_mode=upsert"):
        rig.load(geojson(tmp_path, (point(9, 9), {"code": "a", "n": 5})), write_mode="append")
    with pytest.raises(DuplicateKey, match=r"\(code\)=\(a\) already exists.* Choose an upsert_key"):
        rig.load(geojson(tmp_path, (point(9, 9), {"code": "a", "n": 5})), write_mode="upsert", upsert_key=["n"])
    assert len(table(rig)) == 2


def test_a_table_without_a_key_of_its_own_needs_one_for_upsert(rig, tmp_path):
    start(rig, tmp_path)
    blob = rig.put(geojson(tmp_path, (point(), {"code": "a", "n": 5})))
    with pytest.raises(SchemaMismatch, match="upsert_key"):
        rig.stage(1, rig.parameters(blob, write_mode="upsert"), {}, rig.context())
    with pytest.raises(ColumnsMissing, match="upsert_key names kode"):
        rig.stage(1, rig.parameters(blob, write_mode="upsert", upsert_key=["kode"]), {}, rig.context())


@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"code": "c"}, "the file lacks n"),
        ({"code": "c", "n": 1, "extra": True}, "the table lacks extra"),
        ({"code": "c", "n": "many"}, "n is text in the file and integer in the table"),
        ({"CODE": 7, "n": 1}, "code is integer in the file and text in the table"),
    ],
)
def test_columns_that_differ_are_named_and_nothing_is_loaded(rig, tmp_path, mode, properties, named):
    start(rig, tmp_path)
    before = table(rig)
    with pytest.raises(SchemaMismatch, match=named):
        rig.load(geojson(tmp_path, (point(), properties)), write_mode=mode)
    assert table(rig) == before
    assert rig.query("select count(*) from pg_class where strpos(relname, '__stg_') > 0") == [(0,)]


def test_a_narrower_number_and_a_single_geometry_fit(rig, tmp_path):
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    rig.load(geojson(tmp_path, (square, {"n": 2**40, "x": 0.5})))
    rig.load(geojson(tmp_path, (square, {"n": 7, "x": 3})), write_mode="append")
    assert rig.query("select n, x, st_geometrytype(geom) from geo.t order by id") == [
        (2**40, 0.5, "ST_MultiPolygon"),
        (7, 3.0, "ST_MultiPolygon"),
    ]


def test_a_layer_of_unlike_types_joins_tables_of_any_geometry(rig, tmp_path):
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    mixed = geojson(tmp_path, (line, {"n": 1}), (point(), {"n": 2}))
    for name in ("t_points", "t_lines"):
        rig.load(mixed, table_name=name, geometry_params={"mixed": "geometry"})
    rig.load(mixed, write_mode="append")
    for name, kind, number in (("t_points", "ST_Point", 2), ("t_lines", "ST_LineString", 1)):
        assert rig.query(f"select n, st_geometrytype(geom) from geo.{name} where id > 2") == [(number, kind)]


@pytest.mark.parametrize(
    ("option", "there", "asked"),
    [
        ("title", "Wells", "Pumps"),
        ("description", "dug", "drilled"),
        ("license", "CC-BY-4.0", "CC0-1.0"),
        ("attribution", "Survey", "Somebody"),
        ("keywords", ["water"], ["water", "oil"]),
        ("collection_id", "wells", "pumps"),
        ("access_level", "OUO", "restricted"),
    ],
)
@pytest.mark.parametrize("mode", [{"write_mode": "append"}, {"write_mode": "upsert", "upsert_key": ["code"]}])
def test_rows_do_not_join_under_other_words_than_the_table_has(rig, tmp_path, mode, option, there, asked):
    start(rig, tmp_path, **{option: there})
    row = geojson(tmp_path, (point(5, 5), {"code": "c", "n": 3}), name="g.geojson")
    with pytest.raises(Conflict) as refused:
        rig.load(row, **mode, **{option: asked})
    shown = asked if isinstance(asked, str) else "water, oil"
    assert f"{option} is" in str(refused.value) and repr(shown) in str(refused.value) and "geo.t" in str(refused.value)
    assert len(table(rig)) == 2
    rig.load(row, **mode, **{option: there})
    assert len(table(rig)) == 3


def test_rows_join_in_silence_about_the_words(rig, tmp_path):
    words = {"title": "Wells", "license": "CC0-1.0", "collection_id": "wells"}
    start(rig, tmp_path, **words)
    done = rig.load(geojson(tmp_path, (point(), {"code": "c", "n": 3}), name="g.geojson"), write_mode="append")
    assert (done.item["collection"], done.item["properties"]["title"]) == ("wells", "Wells")


def test_lines_do_not_join_points(rig, tmp_path):
    start(rig, tmp_path)
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    with pytest.raises(SchemaMismatch, match="the file holds MultiLineString geometries, the table Point"):
        rig.load(geojson(tmp_path, (line, {"code": "c", "n": 1})), write_mode="append")


def test_a_table_that_is_not_there_cannot_be_joined(rig, tmp_path):
    with pytest.raises(NotFound, match=r"geo\.t"):
        rig.load(geojson(tmp_path, (point(), {"code": "c"})), write_mode="append")


@pytest.mark.parametrize(
    ("codes", "named"), [(("x", "y", "x"), "same value in features 1, 3"), (("x", None), "empty in features 2")]
)
def test_a_key_that_is_not_one_is_refused_with_the_features(rig, tmp_path, codes, named):
    start(rig, tmp_path)
    path = geojson(tmp_path, *((point(), {"code": c, "n": 1}) for c in codes))
    with pytest.raises(DuplicateKey, match=named):
        rig.load(path, write_mode="upsert", upsert_key=["code"])
    with pytest.raises(DuplicateKey, match=named):
        rig.load(path, table_name="other", primary_key="code")
    assert len(table(rig)) == 2 and not rig.tables.exists("geo", "other")


def test_a_key_that_the_table_has_twice_is_refused(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"code": "a", "n": 1}), (point(), {"code": "a", "n": 2})))
    with pytest.raises(DuplicateKey, match=r"geo\.t has a value of code in more than one row"):
        rig.load(geojson(tmp_path, (point(), {"code": "a", "n": 3})), write_mode="upsert", upsert_key=["code"])
    assert [n for _, _, n, _ in table(rig)] == [1, 2]


def test_rows_do_not_join_a_table_that_changed_meanwhile_and_the_next_attempt_succeeds(rig, tmp_path):
    start(rig, tmp_path)
    parameters = rig.parameters(
        rig.put(geojson(tmp_path, (point(3, 3), {"code": "late", "n": 0}), name="late.geojson")), write_mode="append"
    )
    done: dict = {}
    for number in (1, 2):
        rig.stage(number, parameters, done, rig.context(job_id="b" * 64))
    slow = rig.context(job_id="b" * 64)
    handled = rig.handled(3, parameters, done, slow)
    rig.load(geojson(tmp_path, (point(4, 4), {"code": "fast", "n": 0}), name="fast.geojson"), write_mode="append")
    with pytest.raises(TargetChanged):
        rig.commit(slow)
    rig.stage(3, parameters, done, rig.context(2, job_id="b" * 64))
    assert handled
    assert [code for _, code, _, _ in table(rig)] == ["a", "b", "fast", "late"]
    assert rig.query("select feature_count, bbox_maxx from geo.table_catalog") == [(4, 4)]


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([(point(), {"code": "new", "n": "many"})], "n is integer in the file and text in the table"),
        ([({"type": "Point", "coordinates": [1, 2, 3]}, {"code": "new", "n": 1})], "holds PointZ geometries now"),
        (None, r"no table geo\.t"),
    ],
)
def test_rows_do_not_join_a_table_that_has_become_another_since_they_were_loaded(rig, tmp_path, rows, named):
    start(rig, tmp_path)
    parameters = rig.parameters(
        rig.put(geojson(tmp_path, (point(3, 3), {"code": "late", "n": 0}), name="late.geojson")), write_mode="append"
    )
    done: dict = {}
    for number in (1, 2):
        rig.stage(number, parameters, done, rig.context(job_id="b" * 64))
    if rows is None:
        rig.query("drop table geo.t")
        rig.query("delete from geo.table_catalog")
    else:
        rig.load(geojson(tmp_path, *rows), write_mode="overwrite")
    with pytest.raises((SchemaMismatch, NotFound), match=named):
        rig.stage(3, parameters, done, rig.context(job_id="b" * 64))
    assert rig.query("select count(*) from pg_class where strpos(relname, '__stg_') > 0") == [(0,)]
    assert rows is None or rig.query("select code from geo.t") == [("new",)]


def test_a_merge_that_is_committed_twice_is_refused_the_second_time(rig, tmp_path):
    start(rig, tmp_path)
    parameters = rig.parameters(
        rig.put(geojson(tmp_path, (point(3, 3), {"code": "c", "n": 0}), name="g.geojson")), write_mode="append"
    )
    done: dict = {}
    for number in (1, 2):
        rig.stage(number, parameters, done, rig.context(job_id="b" * 64))
    context = rig.context(job_id="b" * 64)
    rig.handled(3, parameters, done, context)
    rig.commit(context)
    with pytest.raises(TargetChanged):
        rig.commit(context)
    assert [code for _, code, _, _ in table(rig)] == ["a", "b", "c"]


def test_loaded_rows_that_were_tidied_away_fail_the_job_with_what_to_do(rig, tmp_path):
    parameters = rig.parameters(rig.put(geojson(tmp_path, (point(), {"code": "c", "n": 0}))))
    done: dict = {}
    rig.stage(1, parameters, done, rig.context(job_id="b" * 64))
    assert rig.tables.drop_abandoned() == 1
    with pytest.raises(Conflict, match="Resubmit"):
        rig.stage(2, parameters, done, rig.context(job_id="b" * 64))


def test_appending_refreshes_the_tile_view(rig, tmp_path):
    start(rig, tmp_path, create_tile_view=True)
    assert rig.query("select tile_view from geo.table_catalog") == [("t_tiles",)]
    rig.load(geojson(tmp_path, (point(5, 5), {"code": "c", "n": 3}), name="g.geojson"), write_mode="append")
    assert rig.query("select code from geo.t_tiles order by id") == [("a",), ("b",), ("c",)]


def test_a_merge_whose_table_changed_is_run_again_by_the_machine_and_succeeds(api: Api, tmp_path: Path) -> None:
    def append(code: str, **options: str) -> str:
        path = geojson(tmp_path, (point(), {"code": code}), name=f"{code}.geojson")
        api.runtime.storage.upload(path, BlobName(CONTAINER, path.name))
        names = {"blob_name": path.name, "file_extension": "geojson", "table_name": "t", "access_level": "public"}
        return api.runtime.machine.submit("process_vector", {**names, **options}).job_id

    append("a")
    api.drain()
    late = append("late", write_mode="append")
    machine = api.runtime.machine
    claimed = api.claim(10)
    while not any(c.task_type == "vector_create_stac" for c in claimed):
        for item in claimed:
            machine.process(item)
        claimed = api.claim(10)
    outcome = machine.run(claimed[0], threading.Event())
    append("fast", write_mode="append")
    api.drain(api.runtime.worker("other"))
    machine.settle(claimed[0], outcome, 1)
    api.drain()
    assert api.query("SELECT code FROM geo.t ORDER BY id") == [("a",), ("fast",), ("late",)]
    assert api.query("SELECT status::text FROM app.jobs WHERE job_id = %s", late) == [("completed",)]
