"""Ready-made COGs with their own STAC documents: copied, checked, registered; nothing outside is touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import stac_pydantic

from core.contracts.storage import BlobName
from tests.support.api import Api
from tests.support.raster import UTM, write_tiff

CONTAINER = "bronze-ready"


def run(api: Api, **more: object) -> dict:
    given = {"source_container": CONTAINER, "access_level": "public", **more}
    job = api.submit("ingest_collection", by="ada", **given)
    api.drain()
    return api.get(f"/api/jobs/status/{job}")


def put(api: Api, name: str, document: object) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    api.runtime.storage.put(data, BlobName(CONTAINER, name))


def collection(**more: object) -> dict:
    extent = {"spatial": {"bbox": [[29, -2, 30, -1]]}, "temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}
    made = {"type": "Collection", "id": "ready", "stac_version": "1.0.0", "license": "CC-BY-4.0", "extent": extent}
    return {**made, "description": "Ready-made.", "links": [], **more}


def item(name: str, href: str, bbox: list[float], **properties: object) -> dict:
    west, south, east, north = bbox
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "other",
        "bbox": bbox,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": "2021-05-06T07:08:09Z", **properties},
        "links": [],
        "assets": {"image": {"href": href, "roles": ["data"]}},
    }


@pytest.fixture
def cog(api: Api, tmp_path: Path) -> list[float]:
    """A COG at `a/x.tif`; its bbox."""
    pixels = np.random.default_rng(1).integers(1, 900, (600, 600), dtype=np.uint16)
    plain = write_tiff(tmp_path / "plain.tif", pixels, transform=UTM, nodata=0)
    rasterio.shutil.copy(plain, tmp_path / "x.tif", driver="COG", compress="DEFLATE")
    api.runtime.storage.upload(tmp_path / "x.tif", BlobName(CONTAINER, "a/x.tif"))
    api.runtime.storage.upload(plain, BlobName(CONTAINER, "a/plain.tif"))
    with rasterio.open(plain) as dataset:
        return list(rasterio.warp.transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds))


def test_items_keep_what_they_say_and_get_what_the_file_says(api: Api, cog: list[float], tmp_path: Path) -> None:
    put(api, "a/collection.json", collection(links=[{"rel": "item", "href": "./one.json"}]))
    put(api, "a/one.json", item("one", "./x.tif", cog, gsd=10, license="CC0-1.0", **{"app:published": True}))
    status = run(api, collection_json_path="a/collection.json")
    assert status["status"] == "completed", status["errorDetails"]
    result = status["resultData"]
    assert (result["items_completed"], result["items_failed"], result["collection_id"]) == (1, 0, "ready")
    [(stored,)] = api.query("SELECT pgstac.get_item('one', 'ready')")
    stac_pydantic.Item.model_validate(stored)
    properties = stored["properties"]
    assert (properties["gsd"], properties["license"]) == (10, "CC0-1.0")
    assert properties["datetime"].startswith("2021-05-06T07:08:09") and properties["proj:code"] == "EPSG:32735"
    assert properties["app:published"] is False and properties["platform:access_level"] == "public"
    copied = api.runtime.storage.parse_href(stored["assets"]["data"]["href"])
    assert copied.container == "silver-cogs"
    assert api.runtime.storage.read(copied) == (tmp_path / "x.tif").read_bytes()
    [(made,)] = api.query("SELECT content FROM pgstac.collections")
    assert (made["license"], made["description"]) == ("CC-BY-4.0", "Ready-made.")
    assert made["extent"]["temporal"]["interval"] == [["2020-01-01T00:00:00Z", None]]
    assert api.query("SELECT item_count, status::text FROM app.dataset_approvals") == [(1, "pending")]


def test_words_asked_for_are_the_collections_and_an_id_for_all_items_is_refused(api: Api, cog: list[float]) -> None:
    put(api, "collection.json", collection(title="Theirs", keywords=["old"]))
    put(api, "items.json", [item("one", "a/x.tif", cog, title="Its own")])
    words = {"title": "Ours", "description": "All of them.", "tags": ["new"]}
    assert run(api, **words)["status"] == "completed"
    [(made,)] = api.query("SELECT content FROM pgstac.collections")
    assert (made["title"], made["description"], made["keywords"]) == ("Ours", "All of them.", ["new"])
    [(properties,)] = api.query("SELECT content -> 'properties' FROM pgstac.items")
    assert properties["title"] == "Its own" and "description" not in properties
    given = {"source_container": CONTAINER, "access_level": "public", "item_id": "mine"}
    answer = api.of("ada").post("/api/jobs/submit/ingest_collection", json=given)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR") and "item_id" in answer.text


@pytest.mark.parametrize(
    ("href", "code"),
    [
        ("https://example.org/x.tif", "VALIDATION_ERROR"),
        ("/vsicurl/http://169.254.169.254/x.tif", "VALIDATION_ERROR"),
        ("file:///etc/x.tif", "VALIDATION_ERROR"),
        ("../../x.tif", "VALIDATION_ERROR"),
        ("/etc/passwd.tif", "SOURCE_NOT_FOUND"),
        ("./plain.tif", "INVALID_RASTER"),
        ("./none.tif", "SOURCE_NOT_FOUND"),
    ],
)
def test_what_is_no_cog_of_the_container_is_told_and_never_opened(
    api: Api, cog: list[float], href: str, code: str
) -> None:
    put(api, "a/collection.json", collection())
    put(
        api,
        "a/items.json",
        {"type": "FeatureCollection", "features": [item("good", "x.tif", cog), item("bad", href, cog)]},
    )
    status = run(api, collection_json_path="a/collection.json")
    outcome = {i["item_id"]: (i["status"], i["error_code"]) for i in status["resultData"]["items"]}
    assert outcome == {"good": ("completed", None), "bad": ("failed", code)}
    assert api.query("SELECT id FROM pgstac.items") == [("good",)]
    assert len(list(api.runtime.storage.list("silver-cogs"))) == 1


def test_documents_that_are_no_stac_or_describe_another_place_are_told(api: Api, cog: list[float]) -> None:
    broken = item("broken", "x.tif", cog)
    del broken["geometry"]
    lines = [item("good", "x.tif", cog), broken, item("far", "x.tif", [0, 50, 1, 51]), item("good", "x.tif", cog)]
    put(api, "a/collection.json", collection())
    put(api, "a/items.json", "\n".join(map(json.dumps, lines)).encode())
    result = run(api, collection_json_path="a/collection.json", batch_size=1)["resultData"]
    assert (result["items_total"], result["items_completed"], result["items_failed"]) == (4, 1, 3)
    far = next(i for i in result["items"] if i["item_id"] == "far")
    assert far["error_code"] == "INVALID_RASTER" and "x.tif lies at" in far["error_message"]


@pytest.mark.parametrize(
    ("bad", "label", "code"),
    [
        (b"{not json", "a/bad.json", "UNREADABLE_SOURCE"),
        (b"[" * 200_000, "a/bad.json", "UNREADABLE_SOURCE"),
        (None, "a/bad.json", "SOURCE_NOT_FOUND"),
        ({"id": "a b"}, "a b", "VALIDATION_ERROR"),
        ({"properties": {"datetime": "2021-05-06T07:08:09Z", "keywords": "water"}}, "bad", "VALIDATION_ERROR"),
        ({"assets": {"image": {"href": "x.tif", "roles": "data"}}}, "bad", "VALIDATION_ERROR"),
    ],
)
def test_a_bad_document_is_an_outcome_and_the_others_are_registered(
    api: Api, cog: list[float], bad: object, label: str, code: str
) -> None:
    links = [{"rel": "item", "href": f"./{name}.json"} for name in ("bad", "good")]
    put(api, "a/collection.json", collection(links=links))
    put(api, "a/good.json", item("good", "./x.tif", cog))
    if bad is not None:
        put(api, "a/bad.json", {**item("bad", "./x.tif", cog), **bad} if isinstance(bad, dict) else bad)
    status = run(api, collection_json_path="a/collection.json")
    assert status["status"] == "completed", status["errorDetails"]
    outcome = {i["item_id"]: (i["status"], i["error_code"]) for i in status["resultData"]["items"]}
    assert outcome == {"good": ("completed", None), label: ("failed", code)}
    assert api.query("SELECT id FROM pgstac.items") == [("good",)]


def test_a_bad_link_or_line_is_an_outcome_and_the_others_are_registered(api: Api, cog: list[float]) -> None:
    links = [{"rel": "item", "href": href} for href in ("https://example.org/i.json", "a/items.ndjson")]
    put(api, "collection.json", collection(links=[*links, {"rel": "item", "href": 5}, "item"]))
    lines = [json.dumps(item("good", "./x.tif", cog)), '{"type": "Feat', json.dumps(item("also", "./x.tif", cog))]
    put(api, "a/items.ndjson", "\n".join(lines).encode())
    result = run(api)["resultData"]
    failed = {i["item_id"]: i["error_code"] for i in result["items"] if i["status"] == "failed"}
    assert failed["a/items.ndjson line 2"] == "UNREADABLE_SOURCE" and failed["collection.json"] == "VALIDATION_ERROR"
    assert api.query("SELECT id FROM pgstac.items ORDER BY id") == [("also",), ("good",)]


def test_items_the_catalogue_has_are_passed_over_or_replaced_as_asked(api: Api, cog: list[float]) -> None:
    put(api, "collection.json", collection())
    put(api, "items.json", [item("one", "a/x.tif", cog, note="first")])
    run(api)
    put(api, "items.json", [item("one", "a/x.tif", cog, note="second"), item("two", "a/x.tif", cog)])
    again = run(api, batch_size=50)["resultData"]
    assert (again["items_skipped"], again["items_completed"], again["items_failed"]) == (1, 1, 0)
    assert api.query("SELECT content -> 'properties' ->> 'note' FROM pgstac.items WHERE id = 'one'") == [("first",)]
    replaced = run(api, overwrite=True)["resultData"]
    assert (replaced["items_skipped"], replaced["items_completed"], replaced["items_failed"]) == (0, 2, 0)
    assert api.query("SELECT content -> 'properties' ->> 'note' FROM pgstac.items WHERE id = 'one'") == [("second",)]
    assert run(api, batch_size=2)["resultData"]["items_skipped"] == 2
    refused = run(api, skip_existing=False)
    assert (refused["status"], refused["errorDetails"]["code"]) == ("failed", "INVALID_RASTER")
    assert "Item 'one' is in the catalogue" in refused["errorDetails"]["message"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"{not json", "UNREADABLE_SOURCE"),
        ({"type": "Catalog", "id": "x"}, "VALIDATION_ERROR"),
        ([{"type": "Collection"}], "VALIDATION_ERROR"),
    ],
)
def test_a_collection_that_is_none_fails_the_job_by_name(api: Api, document: object, code: str) -> None:
    put(api, "collection.json", document)
    status = run(api)
    assert (status["status"], status["errorDetails"]["code"]) == ("failed", code)
    assert "collection.json" in status["errorDetails"]["message"]


def test_a_collection_none_of_whose_items_can_be_registered_fails(api: Api, cog: list[float]) -> None:
    put(api, "collection.json", collection())
    put(api, "items.json", [item("one", "none.tif", cog)])
    status = run(api)
    assert status["status"] == "failed" and "'one'" in status["errorDetails"]["message"]
    assert api.query("SELECT count(*) FROM pgstac.collections") == [(0,)]


@pytest.mark.shared_data
def test_the_world_mosaic_of_the_shared_data_is_registered_as_far_as_its_files_are_there(
    api: Api, shared_data: Path
) -> None:
    folder = shared_data / "raster/mosaic"
    for path in folder.iterdir():
        api.runtime.storage.upload(path, BlobName(CONTAINER, f"world/{path.name}"))
    facts = json.loads((shared_data / "facts.json").read_text())
    status = run(api, collection_json_path="world/collection.json", create_mosaicjson=True, batch_size=2)
    result = status["resultData"]
    assert (result["items_total"], result["items_completed"], result["items_failed"]) == (15, 4, 11)
    assert {i["error_code"] for i in result["items"] if i["status"] == "failed"} == {"SOURCE_NOT_FOUND"}
    for name, shape, box in api.query(
        "SELECT id, content -> 'properties' -> 'proj:shape', content -> 'bbox' FROM pgstac.items"
    ):
        width, height = facts[f"raster/mosaic/{name}.tif"]["size"]
        assert shape == [height, width]
        stated = next(
            json.loads(line)["bbox"] for line in (folder / "items.json").read_text().splitlines() if f'"{name}"' in line
        )
        assert box == pytest.approx(stated, abs=1e-6)
    [(made,)] = api.query("SELECT content FROM pgstac.collections")
    assert (made["id"], made["license"]) == ("world", "public-domain")
