"""kill -9 of a real worker in every stage of an update: the next one ends it as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.floor import Floor

SOURCE = BlobName("bronze-vectors", "reference/points.geojson")
LOG = ("app.curated_update_log", "UPDATE")
#: Where a worker dies: what it does there, to which rows.
POINTS = {
    "curated_check_source": (*LOG, "NEW.status = 'downloading'"),
    "curated_fetch_data": (*LOG, "NEW.status = 'processing' AND NEW.records_total IS NULL"),
    "curated_etl_process": ("geo.table_catalog", "INSERT OR UPDATE", "true"),
    "curated_finalize": (*LOG, "NEW.records_total IS NOT NULL AND NEW.completed_at IS NULL"),
    "end": (*LOG, "NEW.status = 'completed'"),
}


@pytest.fixture
def floor(db: str, tmp_path: Path) -> Iterator[Floor]:
    """Workers on the database and the storage of the API."""
    made = Floor(db, tmp_path)
    yield made
    made.close()


def offers(api: Api, *names: str) -> None:
    features = [
        {"type": "Feature", "properties": {"name": n}, "geometry": {"type": "Point", "coordinates": [i, 0]}}
        for i, n in enumerate(names)
    ]
    api.runtime.storage.put(json.dumps({"type": "FeatureCollection", "features": features}).encode(), SOURCE)


def update(api: Api) -> str:
    answer = api.of("ada").post("/api/curated/datasets/points/update", json={})
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


@pytest.mark.parametrize("stage", POINTS)
def test_a_worker_that_dies_in_a_stage_of_an_update_leaves_it_to_the_next(api: Api, floor: Floor, stage: str) -> None:
    body = {"dataset_id": "points", "name": "Points", "source_type": "blob", "source_url": str(SOURCE)}
    assert api.of("ada").post("/api/curated/datasets", json=body).status_code == 201
    offers(api, "old")
    update(api)
    api.drain()
    offers(api, "new", "newer")
    with floor.held(*POINTS[stage]):
        job = update(api)
        worker = floor.start()
        floor.until(floor.arrived, "no worker came there")
        floor.murder(worker)
        [before] = api.query("SELECT count(*) FROM geo.curated_points")
    assert before == ((1,) if stage in list(POINTS)[:3] else (2,))
    floor.start()
    floor.until(lambda: api.get(f"/api/jobs/status/{job}")["status"] == "completed", "the update did not end")
    assert api.query("SELECT name FROM geo.curated_points ORDER BY name") == [("new",), ("newer",)]
    updates = api.get("/api/curated/datasets/points/history")["updates"]
    assert [(u["status"], u["records_added"], u["records_deleted"]) for u in updates] == [
        ("completed", 2, 1),
        ("completed", 1, 0),
    ]
    kept = list(api.runtime.storage.list("bronze-vectors", "curated/points/"))
    assert len(kept) == 1
    assert api.query("SELECT content_sha256 FROM app.curated_datasets") == [(Path(kept[0].name.path).stem,)]
