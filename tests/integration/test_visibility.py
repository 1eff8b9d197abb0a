"""Who sees which dataset, at every door of the catalogue: role x classification x published state x owner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.support.serving import Catalogue, serving

LEVELS = ("public", "ouo", "restricted")
NAMES = {
    (level, published): f"{level}{'' if published else '_draft'}" for level in LEVELS for published in (True, False)
}
ALL = set(NAMES.values())
#: What the issue says, told as sets: the dataset is of client ddh, and has one reader.
SEEN = {
    None: {"public"},
    "other": {"public"},
    "reader": {"public", "restricted"},
    "ddh": ALL,
    "reviewer": ALL,
    "admin": ALL,
}
STATES = {None: ALL, "true": {n for n in ALL if "draft" not in n}, "false": {n for n in ALL if "draft" in n}}


@pytest.fixture
def catalogue(db: str, tmp_path: Path) -> Catalogue:
    """A raster and a table of each classification and state; every raster in a collection of its own."""
    made = Catalogue(db, _storage(tmp_path))
    made.collection("tables")
    asset = made.cog("a/file.tif")
    for (level, published), name in NAMES.items():
        properties = {"platform:access_level": level, "platform:client": "ddh", "platform:dataset_id": "d"}
        made.collection(f"c-{name}")
        path = f"{name}/file.tif"
        made.item(f"c-{name}", name, published=published, assets={"data": made.cog(path)}, **properties)
        made.cog_row(path, f"c-{name}", name)
        made.table(name, published=published, **properties)
    made.reader("d", "reader")
    made.reader("another", "other")
    made.item("tables", "legend", published=True, assets={"data": asset}, **{"platform:access_level": "ouo"})
    return made


def _storage(folder: Path):  # type: ignore[no-untyped-def]
    from infrastructure.storage.local import LocalStorage

    return LocalStorage(folder / "store")


@pytest.fixture
def client(catalogue: Catalogue) -> Iterator[TestClient]:
    with serving(catalogue) as opened:
        yield opened


def headers(caller: str | None) -> dict[str, str]:
    return {"x-api-key": caller} if caller else {}


def doors(client: TestClient, caller: str | None, **query: str) -> dict[str, set[str]]:
    """What the caller sees at each door that lists."""

    def get(path: str, **more: object) -> dict:
        answer = client.get(path, headers=headers(caller), params={**query, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def listed(page: dict) -> set[str]:
        return {f["id"] for f in page["features"]} & ALL

    posted = client.post("/api/stac/search", json={"limit": 100}, headers=headers(caller), params=query)
    return {
        "search": listed(get("/api/stac/search", limit=100)),
        "posted search": listed(posted.json()),
        "collections": {c["id"].removeprefix("c-") for c in get("/api/stac/collections", limit=100)["collections"]}
        & ALL,
        "tables": {c["id"] for c in get("/api/features/collections", limit=100)["collections"]},
    }


@pytest.mark.parametrize("caller", SEEN)
def test_every_list_holds_what_the_caller_may_see_and_nothing_else(client: TestClient, caller: str | None) -> None:
    assert {door: found for door, found in doors(client, caller).items() if found != SEEN[caller]} == {}


@pytest.mark.parametrize("state", ["true", "false"])
@pytest.mark.parametrize("caller", SEEN)
def test_the_published_filter_narrows_what_the_caller_may_see(
    client: TestClient, caller: str | None, state: str
) -> None:
    # The public sees published data whatever it asks for.
    wanted = SEEN[caller] if caller is None else SEEN[caller] & STATES[state]
    assert {door: found for door, found in doors(client, caller, published=state).items() if found != wanted} == {}


@pytest.mark.parametrize("caller", SEEN)
def test_a_hidden_dataset_looks_like_none_at_every_door(client: TestClient, caller: str | None) -> None:
    wrong = []
    for name in ALL:
        for path in (
            f"/api/stac/collections/c-{name}",
            f"/api/stac/collections/c-{name}/items/{name}",
            f"/api/stac/collections/c-{name}/queryables",
            f"/api/raster/collections/c-{name}/items/{name}/info",
            f"/api/raster/collections/c-{name}/items/{name}/preview.png",
            f"/api/raster/collections/c-{name}/items/{name}/WebMercatorQuad/tilejson.json",
            f"/api/raster/collections/c-{name}/items/{name}/tiles/WebMercatorQuad/0/0/0.png",
            f"/api/features/collections/{name}",
            f"/api/features/collections/{name}/items",
            f"/api/features/collections/{name}/items/1",
            f"/api/features/collections/{name}/tiles/WebMercatorQuad/0/0/0",
            f"/api/features/collections/{name}/tiles/WebMercatorQuad/tilejson.json",
            f"/api/assets/silver-cogs/{name}/file.tif",
        ):
            status = client.get(path, headers=headers(caller)).status_code
            if (status == 200) != (name in SEEN[caller]) or status not in (200, 404):
                wrong.append((path, caller, status))
    assert wrong == []


def test_items_of_a_hidden_dataset_cannot_be_listed_through_their_collection(client: TestClient) -> None:
    answer = client.get("/api/stac/collections/tables/items", params={"limit": 100})
    assert {f["id"] for f in answer.json()["features"]} == {"public"}


def test_an_asset_outside_the_cog_table_follows_its_item(client: TestClient) -> None:
    path = "/api/assets/silver-cogs/a/file.tif"
    seen = {caller: client.get(path, headers=headers(caller)).status_code for caller in SEEN}
    assert seen == {None: 404, "other": 404, "reader": 404, "ddh": 200, "reviewer": 200, "admin": 200}


def test_who_is_taken_off_a_list_sees_the_data_no_longer(client: TestClient, catalogue: Catalogue) -> None:
    catalogue.run("DELETE FROM app.dataset_readers WHERE client_id = 'reader'")
    assert {door: found for door, found in doors(client, "reader").items() if found != {"public"}} == {}


def test_an_item_without_a_classification_is_not_public(client: TestClient, catalogue: Catalogue) -> None:
    catalogue.run("UPDATE items SET content = content #- '{properties,platform:access_level}' WHERE id = 'public'")
    assert doors(client, None)["search"] == set()
    assert doors(client, "ddh")["search"] == ALL


def test_a_filter_that_asks_for_the_drafts_of_others_finds_none(client: TestClient) -> None:
    whose = {"op": "=", "args": [{"property": "platform:client"}, "ddh"]}
    body = {"filter": {"op": "or", "args": [whose, {"op": "not", "args": [whose]}]}, "filter-lang": "cql2-json"}
    for caller in (None, "other"):
        found = client.post("/api/stac/search", json=body, headers=headers(caller))
        assert {f["id"] for f in found.json()["features"]} == {"public"}


def test_what_a_caller_with_a_credential_sees_is_not_cached(client: TestClient) -> None:
    tile = "/api/raster/collections/c-public/items/public/tiles/WebMercatorQuad/0/0/0.png"
    assert client.get(tile).headers["cache-control"].startswith("public")
    assert client.get(tile, headers=headers("other")).headers["cache-control"] == "private, no-store"


def test_the_rule_is_taken_into_the_query_and_not_called_for_each_row(catalogue: Catalogue) -> None:
    statement = "SELECT FROM pgstac.items WHERE app.may_see(content -> 'properties', false, 'other', NULL)"
    with psycopg.connect(catalogue.db) as connection:
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {statement}").fetchall())
    assert "platform:access_level" in plan and "may_see" not in plan
