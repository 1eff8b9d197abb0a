"""Each example of the API's description, sent as it stands to the API it describes."""

from __future__ import annotations

import json
import re

import numpy
import pytest
import rasterio
from rasterio.transform import from_origin

from core.contracts.storage import BlobName
from tests.support.api import Api
from triggers.http.app import create_app
from triggers.http.examples import EXAMPLES

#: What answers an example that speaks of an object which only a busier system has.
MAY_BE_MISSING = (404, 409)


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


@pytest.fixture
def stocked(api: Api) -> tuple[Api, dict[str, str]]:
    """The API with the file that examples name, a job that failed, and what its paths may speak of."""
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "int16"}
        with memory.open(**profile, crs="EPSG:4326", transform=from_origin(7, 47, 0.01, 0.01)) as file:
            file.write(numpy.arange(64 * 64, dtype="int16").reshape(64, 64), 1)
        api.runtime.storage.put(memory.read(), BlobName("bronze-rasters", "alps/dem.tif"))
    job = api.submit("hello_world", n=1, failure_rate=1.0)
    api.drain()
    body = {"client_id": "acme", "roles": ["partner"]}
    key = api.of("ada").post("/api/admin/keys", json=body).json()["key"]["key_id"]
    return api, {
        "job_id": job,
        "job_type": "hello_world",
        "key_id": key,
        "scope": "dataset:elevation-models",
        "stage": "1",
        "index": "0",
        "id": "1",
        "approval_id": "apr-" + "0" * 32,
        "dataset_id": "elevation-models",
        "cog_id": "alps",
        "render_id": "heights",
        "collection_id": "rivers",
        "style_id": "blue",
        "service_id": "0" * 32,
    }


@pytest.mark.parametrize("operation", EXAMPLES)
def test_an_example_is_understood(stocked: tuple[Api, dict[str, str]], operation: str) -> None:
    api, names = stocked
    method, path = operation.split()
    url = re.sub(r"\{(\w+)\}", lambda m: names[m[1]], path)
    answer = api.of("ada").request(method, url, content=json.dumps(examples()[operation]), headers=JSON)
    # Which servers may be prepared is a setting, so the one of the example is not allowed.
    refused = answer.status_code == 403 and "EXTERNAL_DB_ALLOWED_HOSTS" in answer.text
    assert answer.is_success or refused or answer.status_code in MAY_BE_MISSING, answer.text


JSON = {"content-type": "application/json"}


def test_the_examples_that_need_nothing_else_do_what_they_say(stocked: tuple[Api, dict[str, str]]) -> None:
    api, _ = stocked
    done = {}
    for operation in ("POST /api/platform/submit", "POST /api/platform/validate", "POST /api/admin/keys"):
        method, path = operation.split()
        done[path] = api.of("ada").request(method, path, json=examples()[operation]).status_code
    assert done == {"/api/platform/submit": 202, "/api/platform/validate": 200, "/api/admin/keys": 201}
