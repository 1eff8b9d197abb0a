"""How a published raster looks: links that answer, a view that fits, and renders that people add."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
import rasterio
from rasterio.transform import from_origin
from rio_tiler.colormap import cmap

from core.contracts.colormaps import COLORMAPS
from tests.support.published import Platform, platform
from tests.support.raster import write_tiff

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # a PNG has no place
FLOOD = {"render_id": "flood", "title": "Depth", "render": {"bidx": [1], "rescale": [[0, 5]], "colormap_name": "blues"}}


@pytest.fixture
def geo(db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path / "home") as running:
        yield running


@pytest.fixture
def dem(geo: Platform, tmp_path: Path) -> dict:
    heights = np.linspace(1000, 1500, 300 * 300, dtype=np.float32).reshape(300, 300)
    heights[:30] = -9999
    return geo.publish(write_tiff(tmp_path / "dem.tif", heights, nodata=-9999))


def pixels(content: bytes) -> np.ndarray:
    with rasterio.open(io.BytesIO(content)) as picture:
        return picture.read()


def test_every_link_and_asset_of_a_published_raster_answers(geo: Platform, dem: dict) -> None:
    links = {link["rel"]: link for link in dem["links"]}
    for rel in ("preview", "tilejson", "tiles", "info", "collection", "self"):
        href = links[rel]["href"].replace("{z}/{x}/{y}", "0/0/0")
        assert geo.public.get(href).status_code == 200, href
    assert set(dem["assets"]) == {"data", "thumbnail"}
    for asset in dem["assets"].values():
        answer = geo.public.get(asset["href"])
        assert answer.status_code == 200 and answer.headers["content-type"].split(";")[0] == asset["type"].split(";")[0]
    thumbnail = pixels(geo.public.get(dem["assets"]["thumbnail"]["href"]).content)
    assert max(thumbnail.shape[1:]) == 256 and len(np.unique(thumbnail[0])) > 10
    assert (thumbnail[-1][:20] == 0).all() and (thumbnail[-1][60:] == 255).all(), "nodata is transparent"


def test_a_named_render_is_seen_in_item_tiles_and_list_until_it_is_removed(geo: Platform, dem: dict) -> None:
    cog = f"{dem['collection']}:{dem['id']}"
    url, reviewer = f"/api/raster/{quote(cog)}/renders", geo.api.of("rex")
    preview = next(link["href"] for link in dem["links"] if link["rel"] == "preview")
    plain = geo.public.get(preview).content
    made = reviewer.post(url, json=FLOOD)
    assert made.status_code == 201, made.text
    item = geo.public.get(next(link["href"] for link in dem["links"] if link["rel"] == "self")).json()
    assert item["properties"]["renders"]["flood"] == {"title": "Depth", "assets": ["data"], **render(FLOOD)}
    assert item["properties"]["renders"]["default"] == dem["properties"]["renders"]["default"]
    assert item["properties"]["app:published"] is True
    assert [link for link in item["links"] if link["href"].endswith("tilejson.json?render=flood")]
    flooded = geo.public.get(f"{preview}?render=flood").content
    assert flooded != plain and geo.public.get(preview).content == plain
    tiles = geo.public.get(made.json()["links"]["tilejson"]).json()["tiles"][0]
    assert "rescale=0.0%2C5.0" in tiles and "colormap_name=blues" in tiles and "render=" not in tiles
    missing = geo.public.get(f"{preview}?render=drought")
    assert missing.status_code == 404 and "default, flood" in missing.json()["error"]
    assert reviewer.post(url, json=FLOOD).json()["code"] == "CONFLICT"
    changed = reviewer.put(f"{url}/flood", json={"render": render(FLOOD), "is_default": True})
    assert changed.status_code == 200 and geo.public.get(preview).content == flooded
    listed = reviewer.get(url).json()["renders"]
    assert [(r["render_id"], r["is_default"], r["automatic"]) for r in listed] == [
        ("default", False, True),
        ("flood", True, False),
    ]
    assert [reviewer.get(f"{url}/{shown['render_id']}").json() for shown in listed] == listed
    assert reviewer.delete(f"{url}/flood").status_code == 200 and geo.public.get(preview).content == plain
    assert reviewer.get(f"{url}/flood").status_code == 404
    assert geo.api.query("SELECT action::text FROM app.audit_log WHERE object_type = 'render' ORDER BY audit_id") == [
        ("render.put",), ("render.put",), ("render.delete",),
    ]  # fmt: skip


def test_a_render_that_waits_for_a_job_on_its_collection_holds_nothing_the_job_needs(geo: Platform, dem: dict) -> None:
    """A job locks the collection and then the COG's row; the other way round, each would wait for the other."""
    cog = f"{dem['collection']}:{dem['id']}"
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7073 AND NOT granted"
    with psycopg.connect(geo.api.db) as job, ThreadPoolExecutor(1) as other:
        job.execute("SELECT pg_advisory_xact_lock(7073, hashtext(%s))", [dem["collection"]])
        made = other.submit(geo.api.of("rex").post, f"/api/raster/{quote(cog)}/renders", json=FLOOD)
        while geo.api.query(waiting) == [(0,)]:
            assert not made.done(), made.result().text
        job.execute("SELECT FROM app.cog_metadata WHERE cog_id = %s FOR UPDATE NOWAIT", [cog])
        job.rollback()
        assert made.result().status_code == 201


def test_a_collection_is_one_picture_of_what_the_caller_may_see(geo: Platform, tmp_path: Path) -> None:
    """Two adjoining rasters of one collection: the public sees the approved one, a reviewer both."""
    levels = (50, 200)
    for place, value in enumerate(levels):
        path = write_tiff(
            tmp_path / f"{place}.tif", np.full((3, 64, 64), value, np.uint8), photometric="RGB", crs="EPSG:4326",
            transform=from_origin(30 + place, 0, 1 / 64, 1 / 64),
        )  # fmt: skip
        ids = {"dataset_id": "pair", "resource_id": f"r{place}", "version_id": "v", "access_level": "public"}
        status = geo.process(path, **ids)
        if place == 0:
            geo.approve(status)
    collection = geo.public.get("/api/stac/collections/pair").json()
    links = {link["rel"]: link["href"] for link in collection["links"]}
    seen = {}
    for who, headers in {"public": {}, "reviewer": {"X-API-Key": "rex"}}.items():
        answers = [geo.public.get(links[rel], headers=headers) for rel in ("preview", "tilejson")]
        assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
        picture = pixels(answers[0].content)[:, 128]
        seen[who] = [(int(picture[0, column]), int(picture[-1, column])) for column in (128, 384)]
    assert seen["reviewer"] == [(50, 255), (200, 255)]
    assert seen["public"][0] == (50, 255) and seen["public"][1][1] == 0, "of the other one nothing is seen"
    assert geo.public.get(links["tilejson"]).json()["bounds"] == pytest.approx([30, -1, 31, 0])
    inside = links["tiles"].replace("{z}/{x}/{y}", "8/149/128")
    assert geo.public.get(inside).status_code == 200
    assert geo.public.get(links["tiles"].replace("{z}/{x}/{y}", "8/10/10")).status_code == 404
    base = links["tilejson"].removesuffix("/WebMercatorQuad/tilejson.json")
    assert geo.public.get(f"{base}x/WebMercatorQuad/tilejson.json").status_code == 404
    assert geo.public.post(f"{base}/feature", json={}).status_code in (404, 405)
    assert geo.public.get(f"{base}/point/30.5,-0.5").status_code == 404
    assert geo.public.get(f"{base}/bbox/30,-1,32,0/9000x10.png").status_code == 400


def test_renders_survive_processing_again_and_only_one_is_the_default(geo: Platform, tmp_path: Path) -> None:
    ids = {"dataset_id": "d", "resource_id": "r", "version_id": "v"}
    path = write_tiff(tmp_path / "a.tif", np.random.default_rng(1).random((2, 40, 40)).astype(np.float32))
    status = geo.process(path, **ids)
    cog = status["job_result"]["stac"]["cog_id"]
    reviewer, url = geo.api.of("rex"), f"/api/raster/{cog}/renders"
    second = {"render_id": "second", "render": {"bidx": [2], "rescale": [[0, 1]]}, "is_default": True}
    assert reviewer.post(url, json={**FLOOD, "is_default": True}).status_code == 201
    assert reviewer.post(url, json=second).status_code == 201
    assert geo.api.query("SELECT render_id FROM app.raster_render_configs WHERE is_default") == [("second",)]
    write_tiff(tmp_path / "a.tif", np.random.default_rng(2).random((40, 40)).astype(np.float32))
    again = geo.process(path, options={"overwrite": True}, **ids)
    assert again["job_status"] == "completed", again["job_error"]
    [(renders,)] = geo.api.query("SELECT content -> 'properties' -> 'renders' FROM pgstac.items")
    assert set(renders) == {"default", "flood"}, "the COG has no second band any more"
    assert renders["default"]["bidx"] == [1]
    assert len(reviewer.get(url).json()["renders"]) == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"render": {"bidx": [2]}}, "band 2"),
        ({"render": {"expression": "b1/b7"}}, "b7"),
        ({"render": {"rescale": [[5, 1]]}}, "does not rise"),
        ({"render": {"colormap_name": "viridris"}}, "viridis"),
        ({"render": {"assets": ["archive"]}}, "archive"),
        ({"render": {"bidx": [1], "brightness": 3}}, "brightness"),
        ({"render_id": "default"}, "render_id"),
        ({"render_id": "../x"}, "render_id"),
    ],
)
def test_a_render_that_cannot_be_drawn_is_refused(geo: Platform, dem: dict, change: dict, says: str) -> None:
    url = f"/api/raster/{dem['collection']}:{dem['id']}/renders"
    answer = geo.api.of("rex").post(url, json={**FLOOD, **change})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR") and says in answer.text


def test_renders_of_a_cog_nobody_knows_or_somebody_else_s_are_not_found(geo: Platform, dem: dict) -> None:
    assert geo.api.of("rex").get("/api/raster/no:cog/renders").status_code == 404
    url = f"/api/raster/{dem['collection']}:{dem['id']}/renders"
    assert [geo.api.of(caller).get(url).status_code for caller in ("ann", "bob")] == [200, 404]


def test_all_rasters_of_a_dataset_are_asked_for_over_http(geo: Platform, tmp_path: Path) -> None:
    for number, version in enumerate(("v1", "v2")):
        path = write_tiff(tmp_path / f"{version}.tif", np.full((9, 9), number + 1, np.uint8), nodata=0)
        status = geo.process(path, dataset_id="Floods", resource_id="kigali", version_id=version)
    geo.approve(status)
    url = "/api/platform/catalog/dataset/Floods"
    found = geo.api.get(url, "ann", data_type="raster")["items"]
    assert [(ref["version_id"], ref["published"], ref["data_type"]) for ref in found] == [
        ("v1", False, "raster"),
        ("v2", True, "raster"),
    ]
    assert geo.public.get(found[1]["stac_url"]).json()["id"] == found[1]["item_id"]
    assert [ref["version_id"] for ref in geo.api.get(url, "bob")["items"]] == ["v2"], "public and approved"
    assert geo.api.get(url, "rex")["count"] == 2
    assert [ref["version_id"] for ref in geo.api.get(url, "rex", version_id="v2")["items"]] == ["v2"]
    assert geo.api.get(url, "rex", data_type="vector")["items"] == []


def test_the_colour_maps_offered_are_those_of_the_tile_server() -> None:
    assert set(cmap.list()) == COLORMAPS


def render(body: dict) -> dict:
    return body["render"]
