"""A collection's MosaicJSON over HTTP: with the collection's document, and only for who may see every item in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from core.contracts.storage import BlobName
from tests.support.serving import CONTAINER, ROLE, Catalogue, make_catalogue, serving

MOSAIC = BlobName(CONTAINER, "relief/mosaic-1.json")


@pytest.fixture
def catalogue(db: str, tmp_path: Path) -> Catalogue:
    made = make_catalogue(db, tmp_path)
    made.storage.put(b'{"mosaicjson": "0.0.3"}', MOSAIC)
    asset = json.dumps({"mosaicjson": {"href": made.storage.href(MOSAIC), "type": "application/json"}})
    made.run("UPDATE collections SET content = content || jsonb_build_object('assets', %s::jsonb)", asset)
    return made


@pytest.fixture
def client(catalogue: Catalogue) -> Iterator[TestClient]:
    with serving(catalogue) as made:
        yield made


def test_the_collection_says_where_its_mosaic_is(client: TestClient) -> None:
    asset = client.get("/api/stac/collections/relief", headers=ROLE).json()["assets"]["mosaicjson"]
    assert client.get(asset["href"].removeprefix("http://testserver"), headers=ROLE).json() == {"mosaicjson": "0.0.3"}


def test_the_public_reads_a_mosaic_only_when_all_its_items_are_public(client: TestClient, catalogue: Catalogue) -> None:
    path = f"/api/assets/{MOSAIC}"
    assert client.get(path).status_code == 404
    catalogue.publish("relief", "relief-draft")
    catalogue.publish("secret", "secret-plan")
    assert client.get(path).json() == {"mosaicjson": "0.0.3"}
