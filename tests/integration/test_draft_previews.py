"""Drafts on the map: what reviewers see of a revision that waits, and what nobody else does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.contracts.storage import BlobName
from tests.integration.test_evidence import evidence
from tests.integration.test_revisions import decide, load, put_points, submit
from tests.support.published import Platform, platform
from tests.support.raster import write_tiff

#: The draft belongs to ann. Whoever may not see it, sees the same as where nothing is.
SEES = {"ann": 200, "bob": 404, None: 404, "rita": 200, "rex": 200, "ada": 200}


@pytest.fixture
def site(db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path) as running:
        yield running


def put_heights(site: Platform, folder: Path, first: int) -> None:
    heights = np.arange(first, first + 256 * 256).reshape(256, 256).astype("uint32")
    path = write_tiff(folder / "r.tif", heights)
    site.api.runtime.storage.upload(path, BlobName("bronze-rasters", "r.tif"))


def raster(site: Platform, folder: Path, first: int, *, overwrite: bool = False) -> str:
    put_heights(site, folder, first)
    return submit(site.api, "bronze-rasters", "r.tif", overwrite=overwrite, access_level="public")["approval"][
        "approval_id"
    ]


def answers(site: Platform, url: str) -> dict[str | None, int]:
    """What each caller gets at an address of the evidence."""
    assert url.startswith("http://testserver/")
    path = url.removeprefix("http://testserver")
    return {who: site.public.get(path, headers={"X-API-Key": who} if who else {}).status_code for who in SEES}


def tile(template: str, z: int = 0, x: int = 0, y: int = 0) -> str:
    return template.replace("{z}", str(z)).replace("{x}", str(x)).replace("{y}", str(y))


def test_a_raster_that_waits_is_drawn_for_those_who_may_see_drafts(site: Platform, tmp_path: Path) -> None:
    decide(site.api, raster(site, tmp_path, 0))
    approval = raster(site, tmp_path, 1_000_000, overwrite=True)
    item = evidence(site.api, approval)
    links = item["links"]["titiler"]
    asked = [links["preview"], links["info"], links["tilejson"], tile(links["tiles"])]
    assert [answers(site, url) for url in asked] == [SEES] * 4
    info = site.public.get(links["info"].removeprefix("http://testserver"), headers={"X-API-Key": "rita"}).json()
    statistics = item["metadata"]["raster"]["statistics"][0]
    assert info["data"]["dtype"] == "uint32"
    assert statistics["minimum"] >= 1_000_000, "the evidence speaks of the draft"
    measured = links["info"].replace("/info", "/statistics").removeprefix("http://testserver")
    (band,) = site.public.get(measured, headers={"X-API-Key": "rita"}).json().values()
    assert band["min"] >= 1_000_000, "and so does what the tiles are drawn from"


def test_a_table_that_waits_is_shown_to_those_who_may_see_drafts(site: Platform) -> None:
    decide(site.api, load(site.api, "old"))
    approval = load(site.api, "new", "newer", overwrite=True)
    links = evidence(site.api, approval)["links"]
    features, tiles = links["ogc_features"], links["vector_tiles"]
    asked = [features["collection"], features["items"], tiles["tilejson"], tile(tiles["tiles"])]
    assert [answers(site, url) for url in asked] == [SEES] * 4
    path = features["items"].removeprefix("http://testserver")
    shown = site.public.get(path, headers={"X-API-Key": "rita"}).json()
    assert sorted(f["properties"]["name"] for f in shown["features"]) == ["new", "newer"]
    listed = site.public.get("/api/features/collections", headers={"X-API-Key": "rita"}).json()
    assert [c["id"] for c in listed["collections"]] == ["towns_r_v1"]


def test_every_map_is_a_page_that_asks_as_its_visitor(site: Platform, tmp_path: Path) -> None:
    decide(site.api, load(site.api, "old"))
    table = evidence(site.api, load(site.api, "new", overwrite=True))["links"]["ogc_features"]["viewer"]
    put_heights(site, tmp_path, 0)
    status = submit(site.api, "bronze-rasters", "r.tif", overwrite=True)
    raster_map = status["data_access"]["titiler"]["viewer"]
    for url, source in ((table, table.partition("/tiles/")[0]), (raster_map, status["data_access"]["titiler"]["info"])):
        page = site.public.get(url.removeprefix("http://testserver"), headers={"accept": "text/html"})
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        shown = re.search('data-source="([^"]+)"', page.text)
        assert shown is not None
        assert source.removesuffix("/info").endswith(shown[1])
        assert "http://" not in page.text and "https://" not in page.text, "nothing comes from elsewhere"
        for file in re.findall('(?:src|href)="([^"]+)"', page.text):
            assert site.public.get(file).status_code == 200
    viewer = site.public.get("/api/features/collections/geo.towns_r_v1/viewer")
    assert viewer.status_code == 200


def addresses(told: object) -> Iterator[str]:
    """Every address in an answer."""
    if isinstance(told, dict):
        for value in told.values():
            yield from addresses(value)
    elif isinstance(told, str) and told.startswith(("http://testserver/", "/api/")):
        yield tile(told.removeprefix("http://testserver"))


def test_every_address_that_a_finished_request_is_told_answers(site: Platform, tmp_path: Path) -> None:
    put_points(site.api, "a")
    put_heights(site, tmp_path, 0)
    vector = submit(site.api, "bronze-vectors", "towns.geojson")
    raster = submit(site.api, "bronze-rasters", "r.tif", version_id="v2")
    found = [*addresses(vector), *addresses(raster)]
    assert len(found) > 20
    answered = {path: site.public.get(path, headers={"X-API-Key": "ann"}).status_code for path in found}
    assert {path: status for path, status in answered.items() if status != 200} == {}


def test_a_draft_that_was_decided_on_is_a_draft_no_longer(site: Platform, tmp_path: Path) -> None:
    decide(site.api, load(site.api, "old"))
    table = load(site.api, "new", overwrite=True)
    url = evidence(site.api, table)["links"]["ogc_features"]["items"]
    decide(site.api, table)
    assert set(answers(site, url).values()) == {404}
    assert evidence(site.api, table)["links"]["ogc_features"]["items"].endswith("/geo.towns_r_v1/items")


def test_a_first_revision_is_shown_to_reviewers_and_not_to_the_public(site: Platform, tmp_path: Path) -> None:
    table = evidence(site.api, load(site.api, "old"))["links"]
    assert answers(site, table["ogc_features"]["items"]) == SEES
    assert answers(site, tile(table["vector_tiles"]["tiles"])) == SEES
