"""Different ids can give the same output names; nobody's data is replaced by another client's because of that."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.hills import RASTER, VECTOR, approve
from tests.support.raster import UTM, write_tiff

OVERWRITE = {"processing_options": {"overwrite": True}}
SOURCES = {
    "dem": {**RASTER, "container_name": "bronze-rasters", "file_name": "dem.tif"},
    "wells": {**VECTOR, "container_name": "bronze-vectors", "file_name": "wells.geojson"},
}
#: Other ids than Hills / dem or wells / v1, by which the outputs have the same names.
TWINS = [{"dataset_id": "HILLS"}, {"version_id": "V1"}, {"dataset_id": "hills."}]


def submit(api: Api, by: str, resource: str, **changes: object) -> httpx.Response:
    return api.of(by).post("/api/platform/submit", json={**SOURCES[resource], **changes})


@pytest.mark.parametrize("resource", ["dem", "wells"])
@pytest.mark.parametrize("twin", TWINS)
def test_another_clients_names_are_refused_before_anything_is_done(
    api: Api, hills: dict[str, str], resource: str, twin: dict
) -> None:
    refused = submit(api, "bob", resource, **twin, **OVERWRITE)
    assert (refused.status_code, "another client" in refused.json()["error"]) == (409, True), refused.text
    told = api.of("bob").post("/api/platform/submit", params={"dry_run": True}, json={**SOURCES[resource], **twin})
    assert (told.json()["valid"], told.json()["errors"][0]["code"]) == (False, "CONFLICT")
    assert submit(api, "ann", resource, **twin, **OVERWRITE).status_code == 202, "her own she may replace"


@pytest.mark.parametrize("resource", ["dem", "wells"])
def test_of_two_clients_on_the_way_to_one_name_the_first_keeps_it(
    api: Api, hills: dict[str, str], tmp_path: Path, resource: str
) -> None:
    pixels = np.random.default_rng(8).normal(9, 3, (70, 60)).astype("float32")
    api.runtime.storage.upload(
        write_tiff(tmp_path / "b.tif", pixels, transform=UTM), BlobName("bronze-rasters", "b.tif")
    )
    ids = {"version_id": "v2", **OVERWRITE}
    first = submit(api, "ann", resource, **ids).json()["job_id"]
    other = {"file_name": "b.tif"} if resource == "dem" else {}
    second = submit(api, "bob", resource, dataset_id="hills", **ids, **other).json()["job_id"]
    api.drain()
    jobs = [api.get(f"/api/jobs/status/{job}") for job in (first, second)]
    assert sorted(job["status"] for job in jobs) == ["completed", "failed"]
    [(client, job)] = api.query("SELECT client_id, etl_job_id FROM app.dataset_refs WHERE version_id = 'v2'")
    assert job == next(j for j, told in zip((first, second), jobs, strict=True) if told["status"] == "completed")
    assert client == ("ann" if job == first else "bob")
    [failed] = [told for told in jobs if told["status"] == "failed"]
    assert "another client" in str(failed)


def test_what_is_published_does_not_wait_for_another_clients_draft(api: Api, hills: dict[str, str]) -> None:
    api.query("DELETE FROM app.dataset_refs WHERE resource_id = 'wells'")  # as if ann had not finished yet
    job = submit(api, "bob", "wells", dataset_id="hills", **OVERWRITE).json()["job_id"]
    api.query(
        "INSERT INTO app.dataset_refs (stac_collection_id, stac_item_id, dataset_id, client_id, data_type, table_name)"
        " SELECT stac_collection_id, stac_item_id, 'Hills', 'ann', 'vector', table_name FROM geo.table_catalog"
    )
    approve(api, hills["wells"])
    api.drain()
    assert api.get(f"/api/jobs/status/{job}")["status"] == "failed"
    assert api.query("SELECT count(*) FROM app.artifacts WHERE status = 'draft'") == [(0,)]
