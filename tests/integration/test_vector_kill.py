"""kill -9 of a real worker in every stage of a vector job leaves the old table or the new one, never a mixture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.contracts.storage import BlobName
from core.machine.machine import CoreMachine
from infrastructure.storage.local import LocalStorage
from tests.support.floor import Floor
from tests.support.vector import geojson, point

#: Where a worker dies: what it does there, and how the database is made to wait before it lets it.
POINTS = {
    "preparing": ("EVENT", "CREATE TABLE"),
    "loading": ("app.vector_loads", "INSERT"),
    "indexing": ("EVENT", "CREATE INDEX"),
    "swapping": ("geo.table_catalog", "INSERT OR UPDATE"),
    "tracking": ("app.vector_etl_tracking", "INSERT"),
}


class Loading(Floor):
    """A floor where vectors are loaded."""

    def state(self) -> dict[str, object]:
        """What a reader sees of the table, in one snapshot."""
        [row] = self.query(
            "SELECT (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'geo.t'::regclass"
            " AND attnum > 0 AND NOT attisdropped), (SELECT count(*) FROM geo.t), c.feature_count, c.bbox_minx,"
            " c.title,"
            " i.content -> 'properties' ->> 'postgis:row_count', c.published,"
            " (SELECT count(*) FROM app.vector_etl_tracking v WHERE v.status = 'completed')"
            " FROM geo.table_catalog c, pgstac.items i WHERE c.table_name = 't' AND i.id = c.stac_item_id"
        )
        names = ("columns", "rows", "feature_count", "minx", "title", "item_rows", "published", "runs")
        return dict(zip(names, row, strict=True))

    def unfinished(self) -> list[tuple]:
        return self.query(
            "SELECT oid::bigint, relname FROM pg_class WHERE relname ~ '__stg_[0-9a-f]{8}_[0-9]+$' AND relkind = 'r'"
        )


OLD = {
    "columns": ["id", "old", "geom"],
    "rows": 2,
    "feature_count": 2,
    "minx": 1.0,
    "title": "Old",
    "item_rows": "2",
    "published": False,
    "runs": 1,
}
NEW = {
    "columns": ["id", "new", "geom"],
    "rows": 500,
    "feature_count": 500,
    "minx": 10.0,
    "title": "New",
    "item_rows": "500",
    "published": False,
    "runs": 1,
}


@pytest.fixture
def floor(db: str, tmp_path: Path, machine: CoreMachine) -> Iterator[Loading]:
    made = Loading(db, tmp_path)
    store = LocalStorage(tmp_path / "storage")
    old = geojson(tmp_path, (point(1, 1), {"old": 1}), (point(2, 2), {"old": 2}), name="old.geojson")
    new = geojson(tmp_path, *((point(10 + n / 100, 5), {"new": n}) for n in range(500)), name="new.geojson")
    for path in (old, new):
        store.upload(path, BlobName("bronze-vectors", path.name))
    machine.submit("process_vector", parameters("old.geojson", title="Old"))
    machine.drain(["geospatial-jobs", "vector-tasks", "long-running-tasks"], 60)
    assert made.state() == OLD
    yield made
    made.close()


@pytest.fixture
def machine(db: str, tmp_path: Path) -> Iterator[CoreMachine]:
    from tests.support.api import serve

    with serve(db, tmp_path) as api:
        yield api.runtime.machine


def parameters(blob: str, **more: object) -> dict:
    given = {"blob_name": blob, "file_extension": "geojson", "table_name": "t", "access_level": "public"}
    return {**given, **more}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a worker's processes are found in /proc")
@pytest.mark.parametrize("where", POINTS)
@pytest.mark.parametrize("job_type", ["process_vector", "process_vector_docker"])
def test_a_worker_killed_at_any_stage_leaves_the_old_table_and_the_next_one_makes_the_new(
    floor: Loading, machine: CoreMachine, job_type: str, where: str
) -> None:
    with floor.held(*POINTS[where]):
        job = machine.submit(job_type, parameters("new.geojson", title="New", overwrite=True)).job_id
        doomed = floor.start()
        floor.until(floor.arrived, f"no worker came to {where}")
        if where not in ("swapping", "tracking"):  # there a reader waits for the end of the transaction
            assert floor.state() == OLD
        loaded = floor.unfinished()
        floor.murder(doomed)
        assert floor.state() == OLD
    floor.start()
    ended = "SELECT status::text, error_message FROM app.jobs WHERE job_id = %s AND finished_at IS NOT NULL"
    floor.until(lambda: floor.query(ended, job), "the job did not end")
    assert floor.query(ended, job) == [("completed", None)]
    assert floor.state() == NEW
    assert floor.query("SELECT count(DISTINCT new), min(id), max(id) FROM geo.t") == [(500, 1, 500)]
    assert floor.unfinished() == [] and floor.query("SELECT count(*) FROM app.vector_loads") == [(0,)]
    if where in ("indexing", "swapping", "tracking"):
        # What was loaded before the kill was not loaded again: the very table that was there is published now.
        assert floor.query("SELECT 'geo.t'::regclass::oid::bigint") == [(oid,) for oid, _ in loaded]


def test_what_a_cancelled_job_loaded_is_tidied_away(floor: Loading, machine: CoreMachine) -> None:
    with floor.held(*POINTS["indexing"]):
        job = machine.submit("process_vector", parameters("new.geojson", overwrite=True)).job_id
        doomed = floor.start()
        floor.until(floor.arrived, "no worker came to indexing")
        floor.murder(doomed)
    assert len(floor.unfinished()) == 1
    key = floor.query("SELECT job_key FROM app.jobs WHERE job_id = %s", job)[0][0]
    assert floor.query("SELECT app.cancel_job(%s, 'ada', 'no longer wanted')", key) == [(True,)]
    from psycopg_pool import ConnectionPool

    from infrastructure.postgres.feature_tables import PostgresFeatureTables

    with ConnectionPool(floor.db, kwargs={"autocommit": True}, min_size=1, max_size=1, open=True) as pool:
        assert PostgresFeatureTables(pool).drop_abandoned() == 1
    assert floor.unfinished() == [] and floor.state() == OLD
