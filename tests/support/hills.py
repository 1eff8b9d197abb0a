"""A raster and a table of one dataset, processed over the API and not approved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff

POINT = {"type": "Feature", "properties": {"n": 1}, "geometry": {"type": "Point", "coordinates": [30.5, -2.25]}}
RASTER = {"dataset_id": "Hills", "resource_id": "dem", "version_id": "v1"}
VECTOR = {"dataset_id": "Hills", "resource_id": "wells", "version_id": "v1"}


def make_hills(api: Api, tmp_path: Path) -> dict[str, str]:
    """Submitted by ann; the job ids by resource."""
    pixels = np.random.default_rng(3).normal(900, 30, (70, 60)).astype("float32")
    raster = write_tiff(tmp_path / "dem.tif", pixels, transform=UTM)
    api.runtime.storage.upload(raster, BlobName("bronze-rasters", "dem.tif"))
    vector = tmp_path / "wells.geojson"
    vector.write_text(json.dumps({"type": "FeatureCollection", "features": [POINT]}))
    api.runtime.storage.upload(vector, BlobName("bronze-vectors", "wells.geojson"))
    jobs = {}
    for ids, container, file in ((RASTER, "bronze-rasters", "dem.tif"), (VECTOR, "bronze-vectors", "wells.geojson")):
        body = {**ids, "container_name": container, "file_name": file, "access_level": "public"}
        answer = api.of("ann").post("/api/platform/submit", json=body)
        assert answer.status_code == 202, answer.text
        jobs[ids["resource_id"]] = answer.json()["job_id"]
    api.drain()
    for job in jobs.values():
        assert api.get(f"/api/jobs/status/{job}")["status"] == "completed"
    return jobs


def approve(api: Api, job: str) -> None:
    answer = api.of("ada").post("/api/platform/approve", json={"job_id": job})
    assert answer.status_code == 200, answer.text
