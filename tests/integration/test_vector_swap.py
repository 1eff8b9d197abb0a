"""How process_vector replaces tables, and what repeated or failed attempts leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.contracts.tables import TableIndexes
from core.errors import Conflict, Interrupted, TargetChanged, TargetExists
from tests.support.vector import VectorRig, geojson, point


@pytest.fixture
def rig(db: str, tmp_path: Path) -> Iterator[VectorRig]:
    made = VectorRig(db, tmp_path)
    yield made
    made.close()


def test_an_existing_table_is_refused_before_anything_is_read(rig, tmp_path):
    path = geojson(tmp_path, (point(), {"a": 1}))
    rig.load(path)
    with pytest.raises(TargetExists, match=r"geo\.t"):
        rig.load(path)


def test_overwriting_replaces_rows_columns_and_indexes_but_not_the_publication(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"old": 1}), (point(), {"old": 2})))
    rig.query("update geo.table_catalog set published = true, published_at = '2024-01-01' returning 1")
    rig.load(geojson(tmp_path, (point(31, -1), {"new": "x"})), overwrite=True)
    assert rig.query("select id, new, st_astext(geom) from geo.t") == [(1, "x", "POINT(31 -1)")]
    assert rig.query("select feature_count, published, bbox_minx, bbox_maxy from geo.table_catalog") == [
        (1, True, 31, -1)
    ]
    assert rig.query("select status::text from app.vector_etl_tracking order by status") == [
        ("completed",),
        ("superseded",),
    ]
    assert {
        r[0] for r in rig.query("select indexname from pg_indexes where schemaname = 'geo' and tablename = 't'")
    } == {
        "t_pkey",
        "t_geom_idx",
    }


def test_the_old_table_is_served_until_the_swap(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"v": "old"})))
    parameters = rig.parameters(rig.put(geojson(tmp_path, (point(), {"v": "new"}))), overwrite=True)
    done: dict = {}
    for number in (1, 2):
        rig.stage(number, parameters, done, rig.context(job_id="b" * 64))
        assert rig.query("select v from geo.t") == [("old",)]
    rig.stage(3, parameters, done, rig.context(job_id="b" * 64))
    assert rig.query("select v from geo.t") == [("new",)]


def test_a_table_that_appeared_meanwhile_is_not_replaced(rig, tmp_path):
    parameters = rig.parameters(rig.put(geojson(tmp_path, (point(), {"v": "mine"}))))
    done: dict = {}
    for number in (1, 2):
        rig.stage(number, parameters, done, rig.context(job_id="b" * 64))
    rig.query("create table geo.t as select 1 as other")
    with pytest.raises(TargetExists):
        rig.stage(3, parameters, done, rig.context(job_id="b" * 64))
    assert rig.query("select * from geo.t") == [(1,)]


def test_a_table_that_became_another_item_meanwhile_is_not_replaced(rig, tmp_path):
    path = geojson(tmp_path, (point(), {"n": 1}))
    rig.load(path)
    parameters = rig.parameters(rig.put(path), write_mode="overwrite")
    done: dict = {}
    for number in (1, 2):
        rig.stage(number, parameters, done, rig.context(job_id="a" * 64))
    rig.query("update geo.table_catalog set stac_item_id = 'mine'")
    with pytest.raises(Conflict, match="is item mine of collection"):
        rig.stage(3, parameters, done, rig.context(job_id="a" * 64))
    assert rig.query("select n from geo.t") == [(1,)]


SAME_ITEM = {"collection_id": "water", "item_id": "wells"}


def test_an_item_that_another_table_is_is_refused_before_a_row_is_loaded(rig, tmp_path):
    path = geojson(tmp_path, (point(), {"n": 1}))
    rig.load(path, **SAME_ITEM)
    before = rig.query("select content from pgstac.items")
    for options in ({}, {"overwrite": True}):
        with pytest.raises(Conflict, match=r"Item wells of collection water is table geo\.t") as refused:
            rig.load(path, table_name="u", **SAME_ITEM, **options)
        assert refused.value.code == "CONFLICT" and "another item_id" in (refused.value.hint or "")
    assert rig.query("select content from pgstac.items") == before
    assert rig.query("select tablename from pg_tables where schemaname = 'geo' and tablename ~ '^u'") == []
    rig.load(path, table_name="u", collection_id="other", item_id="wells")
    assert rig.load(path, overwrite=True, **SAME_ITEM).result.tables[0].item_id == "wells", "its own it may keep"


def test_an_item_that_is_no_table_is_not_replaced_by_one(rig, tmp_path):
    path = geojson(tmp_path, (point(), {"n": 1}))
    rig.load(path, **SAME_ITEM)
    rig.query("delete from geo.table_catalog")
    rig.query("update pgstac.items set content = content #- '{properties,postgis:table}'")
    with pytest.raises(Conflict, match="Item wells of collection water is no table"):
        rig.load(path, table_name="u", **SAME_ITEM)


def test_of_two_tables_on_the_way_to_one_item_the_first_gets_it_and_the_other_is_refused_whole(rig, tmp_path):
    path, jobs = geojson(tmp_path, (point(), {"n": 1})), {"t": "a" * 64, "u": "b" * 64}
    wanted = {name: rig.parameters(rig.put(path), table_name=name, **SAME_ITEM) for name in jobs}
    done: dict = {name: {} for name in jobs}
    for number in (1, 2):
        for name, job in jobs.items():
            rig.stage(number, wanted[name], done[name], rig.context(job_id=job))
    # Both have looked before either is there.
    last = {name: rig.context(job_id=job) for name, job in jobs.items()}
    for name in jobs:
        rig.handled(3, wanted[name], done[name], last[name])
    rig.commit(last["t"])
    before = rig.query("select content from pgstac.items")
    with pytest.raises(Conflict, match="Item wells of collection water is another table"):
        rig.commit(last["u"])
    assert rig.query("select content from pgstac.items") == before
    assert rig.query("select table_name from geo.table_catalog") == [("t",)]
    assert rig.query("select to_regclass('geo.u')::text") == [(None,)]


def test_a_view_under_the_name_is_never_dropped(rig, tmp_path):
    rig.query("create view geo.t as select 1 as other")
    with pytest.raises(Conflict, match="not an ordinary table"):
        rig.load(geojson(tmp_path, (point(), {})), overwrite=True)
    assert rig.query("select * from geo.t") == [(1,)]


def test_a_table_that_views_depend_on_is_kept_and_the_views_are_named(rig, tmp_path):
    rig.load(geojson(tmp_path, (point(), {"v": "old"})))
    rig.query("create view geo.seen as select v from geo.t")
    with pytest.raises(Conflict, match="depend"):
        rig.load(geojson(tmp_path, (point(), {"v": "new"})), overwrite=True)
    assert rig.query("select v from geo.seen") == [("old",)]


def test_a_repeated_part_is_not_loaded_twice_and_repeating_a_stage_is_harmless(rig, tmp_path):
    parameters = rig.parameters(rig.put(geojson(tmp_path, (point(), {"a": 1}))))
    done: dict = {}
    rig.stage(1, parameters, done, rig.context(job_id="c" * 64))
    for attempt in (1, 2):
        rig.stage(2, parameters, done, rig.context(attempt, job_id="c" * 64))
    (name,) = staging(rig)
    assert rig.query(f"select count(*) from geo.{name}") == [(1,)]
    (prepared,) = done["prepare"].values()
    rig.tables.index(prepared.staging("c" * 64, 0)[0], TableIndexes(attributes=["a"]))
    rig.stage(3, parameters, done, rig.context(job_id="c" * 64))
    assert rig.query("select a from geo.t") == [(1,)]
    assert staging(rig) == [] and rig.query("select count(*) from app.vector_loads") == [(0,)]


def test_preparing_again_drops_what_the_first_attempt_left(rig, tmp_path):
    parameters = rig.parameters(rig.put(geojson(tmp_path, (point(), {"a": 1}))))
    for attempt in (1, 2):
        rig.stage(1, parameters, {}, rig.context(attempt, job_id="c" * 64))
        assert len(staging(rig)) == 1


def test_two_attempts_that_load_the_same_part_at_once_leave_its_rows_once(rig, tmp_path):
    parameters = rig.parameters(rig.put(geojson(tmp_path, *((point(), {"a": i}) for i in range(50)))))
    done: dict = {}
    rig.stage(1, parameters, done, rig.context(job_id="c" * 64))
    late = rig.context(job_id="c" * 64)

    def overtaken() -> bool:
        # The slow attempt has looked whether the part is there, and reads, when the other one commits it.
        if "upload" not in done:
            rig.stage(2, parameters, done, rig.context(2, job_id="c" * 64))
        return False

    late.should_stop = overtaken
    with pytest.raises(TargetChanged):
        rig.stage(2, parameters, dict(done), late)
    rig.stage(3, parameters, done, rig.context(job_id="c" * 64))
    assert rig.query("select count(*), count(distinct id) from geo.t") == [(50, 50)]


def test_another_jobs_staging_table_is_left_alone(rig, tmp_path):
    rig.query("create table geo.t__stg_dddddddd_1 (a int)")
    rig.load(geojson(tmp_path, (point(), {"a": 1})))
    assert rig.tables.exists("geo", "t__stg_dddddddd_1")


def test_a_load_that_stops_leaves_an_empty_table_that_the_next_attempt_fills(rig, tmp_path):
    path = geojson(tmp_path, *((point(), {"a": i}) for i in range(20)))
    parameters = rig.parameters(rig.put(path))
    done: dict = {}
    rig.stage(1, parameters, done, rig.context(job_id="c" * 64))
    context = rig.context(job_id="c" * 64)
    context.stopping = True
    with pytest.raises(Interrupted):
        rig.stage(2, parameters, done, context)
    (name,) = staging(rig)
    assert rig.query(f"select count(*) from geo.{name}") == [(0,)]
    for number in (2, 3):
        rig.stage(number, parameters, done, rig.context(job_id="c" * 64))
    assert rig.query("select count(*) from geo.t") == [(20,)]


def test_a_source_that_was_replaced_between_stages_is_refused(rig, tmp_path):
    parameters = rig.parameters(rig.put(geojson(tmp_path, (point(), {"a": 1}))))
    done: dict = {}
    rig.stage(1, parameters, done, rig.context(job_id="c" * 64))
    rig.put(geojson(tmp_path, (point(), {"b": "other columns"})))
    with pytest.raises(Conflict, match="replaced"):
        rig.stage(2, parameters, done, rig.context(job_id="c" * 64))


def staging(rig: VectorRig) -> list[str]:
    """The unfinished tables that are there."""
    return [
        r[0] for r in rig.query("select relname from pg_class where strpos(relname, '__stg_') > 0 and relkind = 'r'")
    ]
