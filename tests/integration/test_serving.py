"""The mounted catalogue APIs over HTTP: what the public may see, and how fast a tile comes."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from fastapi.testclient import TestClient
from rasterio.warp import transform

from tests.support.serving import ROLE, Catalogue, make_catalogue, serving

STAC, FEATURES, RASTER = "/api/stac", "/api/features/collections", "/api/raster/collections"
FAMILY = {"success", "error", "error_type", "code", "hint", "request_id"}
HIDDEN = [
    f"{STAC}/collections/secret",
    f"{STAC}/collections/secret/items",
    f"{STAC}/collections/relief/items/relief-draft",
    f"{FEATURES}/geo.roads_draft",
    f"{FEATURES}/geo.roads_draft/items",
    f"{FEATURES}/geo.roads_draft/items/1",
    f"{FEATURES}/geo.roads_draft/tiles/WebMercatorQuad/0/0/0",
    f"{RASTER}/relief/items/relief-draft/info",
    f"{RASTER}/relief/items/relief-draft/preview.png",
    f"{RASTER}/relief/items/relief-draft/tiles/WebMercatorQuad/0/0/0.png",
]


@pytest.fixture
def catalogue(db: str, tmp_path: Path) -> Catalogue:
    return make_catalogue(db, tmp_path)


@pytest.fixture
def client(catalogue: Catalogue) -> Iterator[TestClient]:
    with serving(catalogue) as made:
        yield made


def shown(answer: dict) -> set[str]:
    return {feature["id"] for feature in answer["features"]}


def test_what_is_not_published_does_not_exist_for_the_public(client: TestClient) -> None:
    for path in HIDDEN:
        answer = client.get(path)
        assert (path, answer.status_code, answer.json()["code"]) == (path, 404, "NOT_FOUND")
        assert set(answer.json()) == FAMILY
        assert client.get(path, headers=ROLE).status_code == 200, path


def test_no_search_shows_the_public_what_is_not_published(client: TestClient) -> None:
    for query in ("", "&collections=secret", "&ids=secret-plan,relief-draft", "&published=false"):
        assert shown(client.get(f"{STAC}/search?limit=10{query}").json()) <= {"relief-open", "roads_open"}


def test_a_wrong_request_is_answered_in_the_error_family(client: TestClient) -> None:
    for method, path, body, status, code in (
        ("PUT", FEATURES, b"", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", f"{STAC}/search", b"", 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"{STAC}/nothing", b"", 404, "NOT_FOUND"),
        ("POST", f"{STAC}/search", b"{bad", 400, "VALIDATION_ERROR"),
    ):
        answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert set(answer.json()) == FAMILY


def test_a_search_that_asks_for_drafts_by_filter_finds_none(client: TestClient) -> None:
    wanted = {"op": "=", "args": [{"property": "app:published"}, False]}
    found = client.post(f"{STAC}/search", json={"filter": wanted, "filter-lang": "cql2-json"})
    assert found.status_code == 200 and shown(found.json()) == set()
    either = {"op": "or", "args": [wanted, {"op": "=", "args": [{"property": "app:published"}, True]}]}
    found = client.post(f"{STAC}/search", json={"filter": either, "filter-lang": "cql2-json"})
    assert shown(found.json()) == {"relief-open", "roads_open"}


def test_lists_hold_what_is_published_and_a_role_sees_the_rest(client: TestClient) -> None:
    def collections(**more: dict) -> set[str]:
        return {c["id"] for c in client.get(f"{STAC}/collections", **more).json()["collections"]}

    def tables(**more: dict) -> set[str]:
        return {c["id"] for c in client.get(FEATURES, **more).json()["collections"]}

    assert (collections(), tables()) == ({"relief", "tables"}, {"roads_open"})
    assert (collections(headers=ROLE), tables(headers=ROLE)) == (
        {"relief", "secret", "tables"},
        {"roads_open", "roads_draft"},
    )
    assert shown(client.get(f"{STAC}/search").json()) == {"relief-open", "roads_open"}
    drafts = {"relief-draft", "secret-plan", "roads_draft"}
    assert shown(client.get(f"{STAC}/search", headers=ROLE).json()) == {"relief-open", "roads_open"} | drafts


def test_publishing_shows_and_unpublishing_hides_at_once(client: TestClient, catalogue: Catalogue) -> None:
    for published, status in ((True, 200), (False, 404)):
        catalogue.publish("relief", "relief-draft", published)
        catalogue.publish_table("roads_draft", published)
        assert client.get(f"{STAC}/collections/relief/items/relief-draft").status_code == status
        assert client.get(f"{RASTER}/relief/items/relief-draft/info").status_code == status
        assert client.get(f"{FEATURES}/geo.roads_draft/items").status_code == status


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # a PNG has no place
def test_the_tile_of_the_world_shows_a_small_utm_scene_at_its_place_within_seconds(
    client: TestClient, catalogue: Catalogue
) -> None:
    """GDAL warped the whole world at the scene's resolution: it took a minute, and the scene had ghosts elsewhere."""
    west, south, size = 500_000.0, 5_000_000.0, 76_800.0
    asset = catalogue.cog("relief/scene.tif", crs="EPSG:32632", bounds=(west, south, west + size, south + size))
    catalogue.item("relief", "scene", published=True, assets={"data": asset})
    (x,), (y,) = transform("EPSG:32632", "EPSG:3857", [west + size / 2], [south + size / 2])
    half = 20037508.342789244
    for zoom in (0, 2, 6):
        resolution = 2 * half / 256 / 2**zoom
        column, row = int((x + half) / resolution), int((half - y) / resolution)
        began = time.monotonic()
        answer = client.get(
            f"{RASTER}/relief/items/scene/tiles/WebMercatorQuad/{zoom}/{column // 256}/{row // 256}.png"
        )
        assert answer.status_code == 200 and time.monotonic() - began < 5
        with rasterio.open(io.BytesIO(answer.content)) as image:
            assert image.shape == (256, 256)
            seen = image.dataset_mask() > 0
        assert seen[row % 256, column % 256]
        assert seen.sum() == pytest.approx(max(1, (size / 0.7 / resolution) ** 2), rel=0.4, abs=3)
        rows, columns = np.nonzero(seen)
        assert (abs(rows - row % 256) <= 1 + size / resolution).all()
        assert (abs(columns - column % 256) <= 1 + size / resolution).all()
