"""One decision over everything that a job made, and what becomes of earlier decisions."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.api import Api
from tests.support.serving import Catalogue, make_catalogue


@pytest.fixture
def shelf(db: str, tmp_path: Path) -> Catalogue:
    """A catalogue with the collection that probe jobs publish to, and three items that nobody has approved."""
    made = make_catalogue(db, tmp_path / "storage")
    made.collection("c")
    for name in ("a", "b", "d"):
        made.item("c", name, published=False)
    return made


def finished(api: Api, name: str = "a", *further: str, **parameters: object) -> str:
    """A job that made these items and has ended; its approval."""
    job = api.submit(name=name, publish=True, further_items=list(further), **parameters)
    api.drain()
    return str(api.query("SELECT approval_id FROM app.dataset_approvals WHERE job_id = %s", job)[0][0])


def decide(api: Api, approval: str, verb: str, body: dict | None = None, by: str = "rita") -> httpx.Response:
    return api.of(by).post(f"/api/approvals/{approval}/{verb}", json=body)


def published(api: Api) -> list[str]:
    """The items that the public sees."""
    rows = api.query(
        "SELECT id FROM pgstac.items WHERE collection = 'c'"
        " AND content -> 'properties' -> 'app:published' = 'true'::jsonb ORDER BY id"
    )
    return [name for (name,) in rows]


def states(api: Api) -> dict[str, str]:
    return dict(api.query("SELECT approval_id, status::text FROM app.dataset_approvals"))


def test_one_decision_publishes_every_item_of_a_job(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", "b", "a", "d")
    assert published(api) == []
    record = api.get(f"/api/approvals/{approval}")
    assert (record["stac_item_id"], record["item_count"], record["revision"]) == ("a", 3, 1)
    assert [(i["stac_item_id"], i["state"]) for i in record["items"]] == [("a", "open"), ("b", "open"), ("d", "open")]
    assert decide(api, approval, "approve").status_code == 200
    assert published(api) == ["a", "b", "d"]
    assert {i["state"] for i in api.get(f"/api/approvals/{approval}")["items"]} == {"published"}


def test_when_one_item_is_gone_none_is_published(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", "b", "lost")
    refused = decide(api, approval, "approve")
    assert (refused.status_code, "lost" in refused.json()["error"]) == (404, True)
    assert published(api) == []
    assert states(api) == {approval: "pending"}


def test_a_newer_job_takes_over_the_items_it_made_again(api: Api, shelf: Catalogue) -> None:
    first = finished(api, "a", "b")
    second = finished(api, "b")
    assert states(api) == {first: "pending", second: "pending"}, "the first still decides on the other item"
    assert decide(api, first, "approve").status_code == 200
    assert published(api) == ["a"]
    third = finished(api, "d", "b")
    assert states(api) == {first: "approved", second: "superseded", third: "pending"}
    assert decide(api, second, "approve").status_code == 409
    assert decide(api, third, "approve").status_code == 200
    assert published(api) == ["a", "b", "d"]


def test_an_approved_revision_is_superseded_by_the_next_one_approved(api: Api, shelf: Catalogue) -> None:
    ids = {"dataset_id": "s", "resource_id": "r", "version_id": "v1"}
    first = finished(api, "a", **ids)
    decide(api, first, "approve")
    second = finished(api, "a", **ids, widths=[1, 1, 1])
    assert states(api) == {first: "approved", second: "pending"}
    decide(api, second, "approve")
    assert states(api) == {first: "superseded", second: "approved"}
    rows = api.query("SELECT subject, revision, superseded_by FROM app.dataset_approvals ORDER BY revision")
    assert rows == [("s|r|v1", 1, second), ("s|r|v1", 2, None)]


def test_a_refused_revision_gives_way_to_the_next(api: Api, shelf: Catalogue) -> None:
    first = finished(api, "a")
    assert decide(api, first, "reject", {"reason": "blurred"}).status_code == 200
    second = finished(api, "a", widths=[1, 1, 1])
    assert states(api) == {first: "superseded", second: "pending"}
