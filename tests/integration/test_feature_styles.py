"""Styles over HTTP: made with the table, seen by who sees the table, changed by whose it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response

from core.contracts.storage import BlobName
from core.errors import NotFound
from core.models.catalog import FeatureCollectionStyle
from tests.support.api import Api
from tests.support.vector import geojson, point

URL = "/api/features/collections/geo.wells_r_v1/styles"
MAPBOX, STORED = "application/vnd.mapbox.style+json", "application/vnd.ogc.cartosym+json"
BLUE = {"stylingRules": [{"name": "All", "symbolizer": {"marker": {"color": "#0000FF"}}}]}


@pytest.fixture
def wells(api: Api, tmp_path: Path) -> dict:
    """The status of the request by which ann made a public table, not approved yet."""
    path = geojson(tmp_path, (point(1, 2), {"kind": "deep"}), (point(3, 4), {"kind": "shallow"}))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    body = {"dataset_id": "wells", "resource_id": "r", "version_id": "v1", "access_level": "public"}
    body |= {"container_name": "bronze-vectors", "file_name": path.name}
    request = api.of("ann").post("/api/platform/submit", json=body).json()["request_id"]
    api.drain()
    status = api.get(f"/api/platform/status/{request}", caller="ann")
    assert status["job_status"] == "completed", status["job_error"]
    return status


def public(api: Api, path: str, **headers: str) -> Response:
    client = api.of("ann")
    del client.headers["X-API-Key"]
    return client.get(path, headers=headers)


def approve(api: Api, status: dict) -> None:
    assert api.of("rex").post(f"/api/approvals/{status['approval']['approval_id']}/approve").status_code == 200


def test_a_new_table_has_a_default_style_that_its_owner_sees_and_after_approval_the_public(
    api: Api, wells: dict
) -> None:
    assert [public(api, path).status_code for path in (URL, f"{URL}/default")] == [404, 404]
    assert api.of("bob").get(URL).status_code == 404
    listed = api.get(URL, caller="ann")
    assert (listed["default"], [s["id"] for s in listed["styles"]]) == ("default", ["default"])
    approve(api, wells)
    style = public(api, f"{URL}/default")
    assert (style.status_code, style.headers["content-type"]) == (200, MAPBOX)
    layers = style.json()["layers"]
    assert [layer["metadata"]["rule"] for layer in layers] == ["Other", "deep", "shallow"]
    assert len({layer["paint"]["circle-color"] for layer in layers}) == 3
    source = style.json()["sources"]["features"]
    assert source["tiles"][0].endswith("/api/features/collections/wells_r_v1/tiles/WebMercatorQuad/{z}/{x}/{y}")
    assert source["bounds"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("*/*", MAPBOX),
        ("application/json", MAPBOX),
        (STORED, STORED),
        (f"{MAPBOX};q=0.2, {STORED};q=0.9", STORED),
        ("text/html, */*;q=0.1", MAPBOX),
    ],
)
def test_the_encoding_is_what_the_caller_accepts(api: Api, wells: dict, accept: str, answered: str) -> None:
    answer = api.of("ann").get(f"{URL}/default", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, answered)


def test_a_weight_in_digits_that_are_no_number_counts_as_none(api: Api, wells: dict) -> None:
    async def answer() -> Response:
        # The test client encodes headers anew; this sends the bytes as they are.
        headers = [(b"X-API-Key", b"ann"), (b"Accept", f"{STORED};q=\xb2, {MAPBOX};q=0.5".encode("latin-1"))]
        async with AsyncClient(transport=ASGITransport(api.app), base_url="http://test") as client:
            return await client.get(f"{URL}/default", headers=headers)

    answered = asyncio.run(answer())
    assert (answered.status_code, answered.headers["content-type"]) == (200, STORED)


def test_f_wins_over_accept_and_nothing_that_fits_is_406(api: Api, wells: dict) -> None:
    stored = api.of("ann").get(f"{URL}/default?f=cartosym", headers={"Accept": MAPBOX})
    assert stored.headers["content-type"] == STORED and len(stored.json()["stylingRules"]) == 3
    refused = api.of("ann").get(f"{URL}/default", headers={"Accept": "image/png"})
    assert (refused.status_code, refused.json()["code"]) == (406, "NOT_ACCEPTABLE")


def test_a_style_is_added_replaced_made_the_default_and_removed(api: Api, wells: dict) -> None:
    ann = api.of("ann")
    made = ann.put(f"{URL}/blue", json={"title": "Blue", "style": BLUE, "is_default": True})
    assert (made.status_code, made.json()["is_default"]) == (201, True)
    assert api.get(URL, caller="ann")["default"] == "blue"
    stored = ann.get(f"{URL}/blue?f=cartosym").json()
    assert stored["stylingRules"][0]["symbolizer"]["marker"]["color"] == "#0000ff"
    again = ann.put(f"{URL}/blue", json={"title": "Blau", "style": stored})
    assert (again.status_code, again.json()["title"]) == (200, "Blau")
    assert ann.delete(f"{URL}/blue").status_code == 200
    assert ann.delete(f"{URL}/blue").status_code == 404
    assert [
        row for (row,) in api.query("SELECT action FROM app.audit_log WHERE object_type = 'style' ORDER BY audit_id")
    ] == [
        "style.put",
        "style.put",
        "style.delete",
    ]


def test_a_table_that_leaves_while_it_is_styled_is_not_found(api: Api) -> None:
    style = FeatureCollectionStyle(collection_id="nowhere", style_id="blue", style_spec=BLUE)
    with pytest.raises(NotFound, match="Collection nowhere does not exist"):
        api.runtime.styles.put(style, api.runtime.key_ring.identify("ann"))


def test_only_whose_table_it_is_and_admins_may_style_it(api: Api, wells: dict) -> None:
    approve(api, wells)
    assert api.of("bob").put(f"{URL}/x", json={"style": BLUE}).status_code == 403
    assert api.of("ada").put(f"{URL}/x", json={"style": BLUE}).status_code == 201


def test_a_style_that_names_columns_the_table_lacks_is_refused_with_those_it_has(api: Api, wells: dict) -> None:
    rule = {**BLUE["stylingRules"][0], "selector": {"op": "=", "args": [{"property": "depth"}, 3]}}
    answer = api.of("ann").put(f"{URL}/x", json={"style": {"stylingRules": [rule]}})
    assert answer.status_code == 400 and "depth" in answer.json()["error"] and "kind" in answer.json()["error"]


@pytest.mark.parametrize(
    ("values", "rules", "description"),
    [
        ([f"w{i // 2}" for i in range(20)] + [f"v{i}" for i in range(5)], 13, "A colour for each of the 12 most"),
        ([0] * 200 + list(range(1, 14)), 13, "A colour for each of the 12 most"),
        ([None, None], 1, "One colour for all: kind is empty."),
    ],
)
def test_the_asked_attribute_is_shown_however_its_values_lie(
    api: Api, tmp_path: Path, values: list, rules: int, description: str
) -> None:
    path = geojson(tmp_path, *((point(i % 90, 1), {"kind": v, "a": "x"}) for i, v in enumerate(values)))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    names = {"blob_name": path.name, "file_extension": "geojson", "table_name": "t", "access_level": "public"}
    api.runtime.machine.submit("process_vector", {**names, "style_attribute": "kind"})
    api.drain()
    [(spec, said)] = api.query("SELECT style_spec, description FROM geo.feature_collection_styles")
    assert (len(spec["stylingRules"]), said[: len(description)]) == (rules, description)


def test_overwriting_a_table_keeps_the_styles_that_people_made(api: Api, wells: dict, tmp_path: Path) -> None:
    api.of("ann").put(f"{URL}/default", json={"title": "Mine", "style": BLUE, "is_default": True})
    path = geojson(tmp_path, (point(5, 5), {"kind": "dry"}))
    api.runtime.storage.upload(path, BlobName("bronze-vectors", path.name))
    body = {"dataset_id": "wells", "resource_id": "r", "version_id": "v1", "container_name": "bronze-vectors"}
    body |= {"file_name": path.name, "processing_options": {"overwrite": True}, "access_level": "public"}
    assert api.of("ann").post("/api/platform/submit", json=body).status_code == 202
    api.drain()
    assert api.query("SELECT kind FROM geo.wells_r_v1") == [("dry",)]
    assert [s["title"] for s in api.get(URL, caller="ann")["styles"]] == ["Mine"]
