"""Each example of the API's description, sent as it stands where what it speaks of is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from config import OutboundSettings
from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import write_tiff
from triggers.http.app import create_app
from triggers.http.examples import EXAMPLES

RASTER = EXAMPLES["POST /api/platform/submit"]
RENDERS = "POST /api/raster/{cog_id}/renders"
APPROVAL = "apr-" + "0" * 32
COPY = """
    INSERT INTO app.dataset_approvals OVERRIDING SYSTEM VALUE
    SELECT (jsonb_populate_record(a, %s::jsonb)).* FROM app.dataset_approvals a
"""
JSON = {"content-type": "application/json"}

#: Examples whose answer is an error, and why.
REFUSED = {
    # Which servers may be prepared is a setting; test_external_databases.py prepares one of its own.
    "POST /api/admin/external/initialize": (403, "EXTERNAL_DB_ALLOWED_HOSTS"),
}


def submitted(api: Api, body: Mapping[str, object]) -> str:
    answer = api.of("ada").post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    api.drain()
    return str(answer.json()["job_id"])


def a_file(api: Api, folder: Path) -> dict[str, str]:
    """The one that examples submit."""
    heights = np.arange(64 * 64, dtype="int16").reshape(64, 64)
    api.runtime.storage.upload(write_tiff(folder / "dem.tif", heights), BlobName("bronze-rasters", "alps/dem.tif"))
    return {}


def a_raster(api: Api, folder: Path) -> dict[str, str]:
    """It is in the catalogue."""
    a_file(api, folder)
    submitted(api, RASTER)
    return {"cog_id": str(api.query("SELECT cog_id FROM app.cog_metadata")[0][0])}


def a_render(api: Api, folder: Path) -> dict[str, str]:
    """A way of drawing it."""
    names = {**a_raster(api, folder), "render_id": "heights"}
    made = api.of("ada").post(f"/api/raster/{names['cog_id']}/renders", json=EXAMPLES[RENDERS])
    assert made.is_success, made.text
    return names


def a_collection(api: Api, folder: Path) -> dict[str, str]:
    """It has another raster than the example's."""
    a_file(api, folder)
    submitted(api, {**RASTER, "version_id": "v0.9"})
    return {}


def a_table(api: Api, folder: Path) -> dict[str, str]:
    """The rivers of the Alps."""
    river = {"type": "LineString", "coordinates": [[7, 46], [8, 47]]}
    feature = {"type": "Feature", "properties": {"name": "Reuss"}, "geometry": river}
    api.runtime.storage.put(json.dumps(feature).encode(), BlobName("bronze-vectors", "rivers.geojson"))
    ids = {"dataset_id": "rivers", "resource_id": "alps", "version_id": "v1.0"}
    submitted(api, {**ids, "container_name": "bronze-vectors", "file_name": "rivers.geojson"})
    return {"collection_id": "rivers_alps_v1_0", "style_id": "blue"}


def pending(api: Api, folder: Path) -> dict[str, str]:
    """A review with the id that examples name, of an item that waits."""
    made = str(api.of("rex").post("/api/approvals/test", json={}).json()["approval"]["approval_id"])
    api.query(COPY, json.dumps({"approval_id": APPROVAL, "subject": "example", "number": 1_000_000}))
    api.query("UPDATE app.approval_items SET approval_id = %s WHERE approval_id = %s", APPROVAL, made)
    return {"approval_id": APPROVAL}


def decided(verb: str, **body: str) -> Callable[[Api, Path], dict[str, str]]:
    """The same after a decision."""

    def prepare(api: Api, folder: Path) -> dict[str, str]:
        names = pending(api, folder)
        answer = api.of("rita").post(f"/api/approvals/{APPROVAL}/{verb}", json=body)
        assert answer.status_code == 200, answer.text
        return names

    return prepare


def a_waiting_job(api: Api, folder: Path) -> dict[str, str]:
    return {"job_id": api.submit("hello_world", n=2), "stage": "1", "index": "0"}


def a_failed_job(api: Api, folder: Path) -> dict[str, str]:
    """With its dead letter."""
    job = api.submit("hello_world", n=1, failure_rate=1.0)
    api.drain()
    [(letter, fingerprint)] = api.query("SELECT dead_letter_id, fingerprint FROM app.dead_letters")
    return {"job_id": job, "id": str(letter), "fingerprint": str(fingerprint)}


def a_key(api: Api, folder: Path) -> dict[str, str]:
    made = api.of("ada").post("/api/admin/keys", json={"client_id": "acme", "roles": ["partner"]})
    return {"key_id": str(made.json()["key"]["key_id"])}


def a_service(api: Api, folder: Path) -> dict[str, str]:
    """One that does not answer: nobody is called where a test cannot say who that is."""
    body = {"url": "http://127.0.0.1:9/wms", "name": "A service"}
    api.runtime.settings = replace(
        api.runtime.settings, outbound=OutboundSettings(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
    )
    made = api.of("ada").post("/api/jobs/services/register", json=body)
    assert made.status_code == 201, made.text
    return {"service_id": str(made.json()["service"]["service_id"])}


def a_curated_dataset(api: Api, folder: Path) -> dict[str, str]:
    """One that nobody has loaded yet."""
    body = {"dataset_id": "admin0", "name": "A", "source_type": "blob", "source_url": "bronze-vectors/a.geojson"}
    made = api.of("ada").post("/api/curated/datasets", json=body)
    assert made.status_code == 201, made.text
    return {"dataset_id": "admin0"}


def nothing(api: Api, folder: Path) -> dict[str, str]:
    return {"scope": "dataset:elevation-models", "dataset_id": "elevation-models", "job_type": "hello_world"}


#: What has to be there for an example to succeed, and what its path then names.
def a_finding(api: Api, _: Path) -> dict[str, str]:
    """A table that nobody describes, found."""
    api.query("CREATE TABLE geo.stray (id int, geom geometry(Point, 4326))")
    api.of("ada").post("/api/admin/consistency/run")
    api.drain()
    return {"finding_id": str(api.get("/api/admin/consistency/findings")["findings"][0]["finding_id"])}


PREPARED: Mapping[str, Callable[[Api, Path], dict[str, str]]] = {
    "POST /api/platform/submit": a_file,
    "POST /api/platform/validate": a_file,
    "POST /api/platform/raster/add-to-collection": a_collection,
    "POST /api/platform/unpublish": a_raster,
    "POST /api/platform/unpublish/raster": a_raster,
    "POST /api/platform/unpublish/vector": a_table,
    "POST /api/platform/approve": pending,
    "POST /api/platform/reject": pending,
    "POST /api/platform/revoke": decided("approve"),
    "POST /api/platform/resubmit": decided("reject", reason="no"),
    "POST /api/approvals/{approval_id}/approve": pending,
    "POST /api/approvals/{approval_id}/reject": pending,
    "POST /api/approvals/{approval_id}/revoke": decided("approve"),
    "POST /api/jobs/{job_id}/cancel": a_waiting_job,
    "POST /api/admin/consistency/findings/{finding_id}/dismiss": a_finding,
    "POST /api/jobs/{job_id}/tasks/{stage}/{index}/cancel": a_waiting_job,
    "POST /api/jobs/{job_id}/resubmit": a_failed_job,
    "PATCH /api/admin/dead-letters/{id}": a_failed_job,
    "POST /api/admin/dead-letters/{id}/discard": a_failed_job,
    "PUT /api/features/collections/{collection_id}/styles/{style_id}": a_table,
    "PUT /api/jobs/services/{service_id}": a_service,
    "PATCH /api/jobs/services/{service_id}": a_service,
    "PUT /api/curated/datasets/{dataset_id}": a_curated_dataset,
    "PATCH /api/curated/datasets/{dataset_id}": a_curated_dataset,
    "POST /api/curated/datasets/{dataset_id}/update": a_curated_dataset,
    "POST /api/admin/keys/{key_id}/rotate": a_key,
    RENDERS: a_raster,
    "PUT /api/raster/{cog_id}/renders/{render_id}": a_render,
}


def examples() -> dict[str, object]:
    """The examples in the described document, by operation."""
    paths = create_app(lambda: None).openapi()["paths"]  # type: ignore[arg-type,return-value]  # never called
    found = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                found[f"{method.upper()} {path}"] = content["examples"]["example"]["value"]
    return found


def test_every_body_has_an_example_and_every_preparation_belongs_to_one() -> None:
    assert examples() == EXAMPLES
    assert set(PREPARED) | set(REFUSED) <= set(EXAMPLES)


@pytest.mark.parametrize("operation", EXAMPLES)
def test_an_example_does_what_it_says(api: Api, tmp_path: Path, operation: str) -> None:
    names = PREPARED.get(operation, nothing)(api, tmp_path)
    method, path = operation.split()
    url = re.sub(r"\{(\w+)\}", lambda m: names[m[1]], path)
    answer = api.of("ada").request(method, url, content=json.dumps(EXAMPLES[operation]), headers=JSON)
    status, reason = REFUSED.get(operation, (None, ""))
    assert answer.is_success if status is None else answer.status_code == status, answer.text
    assert reason in answer.text
