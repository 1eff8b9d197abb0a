"""process_raster_docker in a real worker that is killed at each boundary of its phases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from psycopg_pool import ConnectionPool

from core.contracts.storage import BlobName
from core.machine.machine import CoreMachine
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.storage.local import LocalStorage
from tests.support.probe import Silent, no_resources
from tests.support.raster import write_tiff
from tests.support.raster_crash import REGISTRY
from tests.support.workers import Workplace

pytestmark = pytest.mark.timeout(400)
PIXELS = np.random.default_rng(8).integers(1, 4000, (2, 700, 900), dtype=np.uint16)


@pytest.fixture
def place(db: str, tmp_path: Path) -> Workplace:
    return Workplace(db, tmp_path, "tests.support.raster_crash")


def submit(place: Workplace, title: str | None) -> str:
    path = write_tiff(place.home / "a.tif", PIXELS, nodata=0)
    LocalStorage(place.home / "storage").upload(path, BlobName("bronze-rasters", "a.tif"))
    given = {"container_name": "bronze-rasters", "blob_name": "a.tif", "collection_id": "c", "item_id": "i"}
    with ConnectionPool(place.conninfo, kwargs={"autocommit": True}, min_size=1, max_size=1, open=True) as pool:
        machine = CoreMachine(REGISTRY, PostgresJobStore(pool), no_resources, worker="submitter", log=Silent())
        parameters = {**given, "access_level": "ouo", "title": title}
        return machine.submit("process_raster_docker", parameters).job_id


def phases_saved(place: Workplace) -> list[str]:
    asked = "event_type = 'checkpoint' AND task_index IS NOT NULL"  # of the task, not of the job
    rows = place.query(f"SELECT checkpoint_name FROM app.job_events WHERE {asked} ORDER BY event_id")
    return [row["checkpoint_name"] for row in rows]


def check_what_is_left(place: Workplace, job: dict) -> None:
    """One COG with the source's pixels, one item, one row, one review."""
    storage = LocalStorage(place.home / "storage")
    [cog] = list(storage.list("silver-cogs"))
    assert cog.name.path == job["result"]["cog"]["cog_blob"]
    with rasterio.open(storage.gdal_path(cog.name)) as written:
        np.testing.assert_array_equal(written.read(), PIXELS)
    assert place.query("SELECT collection, id FROM pgstac.items") == [{"collection": "c", "id": "i"}]
    assert place.query("SELECT blob_path FROM app.cog_metadata") == [{"blob_path": cog.name.path}]
    assert place.query("SELECT status::text FROM app.dataset_approvals") == [{"status": "pending"}]
    assert not list((place.home / "scratch").glob("*/*/*.tif"))


@pytest.mark.parametrize(
    ("where", "skipped"),
    [
        ("checkpoint 1", ["validate"]),
        ("checkpoint 2", ["validate", "create_cog"]),
        ("before commit", ["validate", "create_cog"]),
    ],
)
def test_a_runner_killed_at_a_boundary_goes_on_from_there(place: Workplace, where: str, skipped: list[str]) -> None:
    job_id = submit(place, where)
    with place.worker():
        job = place.ended(job_id)
    assert job["status"] == "completed", job["error_message"]
    processing = job["result"]["processing"]
    assert (processing["resumed"], processing["phases_skipped"]) == (True, skipped)
    assert processing["resumed_from_phase"] == len(skipped)
    assert phases_saved(place) == ["phase 1", "phase 2"]
    [task] = place.tasks()
    assert [error["code"] for error in task["error_history"]] == ["WORKER_CRASHED"]
    check_what_is_left(place, job)


def test_a_worker_that_dies_with_its_parent_at_every_boundary_does_no_phase_twice(place: Workplace) -> None:
    job_id = submit(place, "everywhere")
    for died in (1, 2, 3):
        with place.worker(TASK_LEASE_SECONDS="2") as worker:
            place.until(lambda w=worker: w.process.poll() is not None, f"attempt {died} did not kill its worker")
    with place.worker(TASK_LEASE_SECONDS="2"):
        job = place.ended(job_id)
    assert job["status"] == "completed", job["error_message"]
    assert job["result"]["processing"]["phases_skipped"] == ["validate", "create_cog"]
    assert phases_saved(place) == ["phase 1", "phase 2"]
    check_what_is_left(place, job)


def test_a_cog_that_vanished_since_its_checkpoint_is_made_again(place: Workplace) -> None:
    job_id = submit(place, "everywhere")
    storage = LocalStorage(place.home / "storage")
    for _ in (1, 2):
        with place.worker(TASK_LEASE_SECONDS="2") as worker:
            place.until(lambda w=worker: w.process.poll() is not None, "the worker lives on")
    [cog] = list(storage.list("silver-cogs"))
    storage.delete(cog.name)
    with place.worker(TASK_LEASE_SECONDS="2") as worker:
        place.until(lambda: worker.process.poll() is not None, "the worker lives on")
    with place.worker(TASK_LEASE_SECONDS="2"):
        job = place.ended(job_id)
    assert job["status"] == "completed", job["error_message"]
    assert phases_saved(place) == ["phase 1", "phase 2", "phase 2"]
    check_what_is_left(place, job)


def test_an_undisturbed_raster_is_told_as_such_and_its_progress_moves(place: Workplace) -> None:
    job_id = submit(place, None)
    with place.worker():
        job = place.ended(job_id)
    result = job["result"]
    assert (result["processing"]["resumed"], result["processing"]["resumed_from_phase"]) == (False, None)
    assert result["processing_mode"] == "docker_single_stage" and result["stages_completed"] == 1
    assert result["validation"]["width"] == 900 and result["cog"]["file_size"] > 0
    [stage] = place.query("SELECT queue, task_type FROM app.stages")
    assert stage == {"queue": "long-running-tasks", "task_type": "raster_process_complete"}
