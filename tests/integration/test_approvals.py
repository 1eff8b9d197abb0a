"""One decision over everything that a job made, and what becomes of earlier decisions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


def finished(api: Api, name: str = "a", *further: str, by: str = "ann", **parameters: object) -> str:
    """A job that made these items and has ended; its approval."""
    job = api.submit(by=by, name=name, publish=True, further_items=list(further), **parameters)
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


def test_a_refused_revision_can_be_decided_again(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a")
    decide(api, approval, "reject", {"reason": "blurred"})
    assert decide(api, approval, "resubmit").json()["approval"]["status"] == "pending"
    assert decide(api, approval, "resubmit").status_code == 409
    assert decide(api, approval, "approve", {"notes": "sharp"}).status_code == 200
    assert published(api) == ["a"]
    steps = api.get(f"/api/approvals/{approval}/history")["steps"]
    assert [(s["from_status"], s["to_status"], s["by"], s["reason"]) for s in steps] == [
        (None, "pending", "ann", None),
        ("pending", "rejected", "rita", "blurred"),
        ("rejected", "pending", "rita", None),
        ("pending", "approved", "rita", "sharp"),
    ]


def test_a_rejection_without_a_reason_is_refused(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a")
    for body in ({}, {"reason": " "}):
        assert decide(api, approval, "reject", body).status_code == 400
    assert states(api) == {approval: "pending"}


def test_revoking_hides_items_and_tables_at_once_and_says_why(api: Api, shelf: Catalogue) -> None:
    api.query("INSERT INTO geo.table_catalog (table_name, stac_collection_id, stac_item_id) VALUES ('roads', 'c', 'a')")
    approval = finished(api, "a", "b")
    decide(api, approval, "approve")
    assert api.query(
        "SELECT published, published_at IS NOT NULL FROM geo.table_catalog WHERE table_name = 'roads'"
    ) == [(True, True)]
    assert decide(api, approval, "revoke").status_code == 400, "a reason is needed"
    answer = decide(api, approval, "revoke", {"reason": "licence ended"})
    assert (answer.status_code, answer.json()["stac_updated"]) == (200, True)
    assert published(api) == []
    assert api.query("SELECT published, published_at FROM geo.table_catalog WHERE table_name = 'roads'") == [
        (False, None)
    ]
    properties = api.query("SELECT content -> 'properties' FROM pgstac.items WHERE collection = 'c' AND id = 'a'")[0][0]
    assert (properties["app:revoked"], properties["app:revoked_by"]) == (True, "rita")
    assert properties["app:revocation_reason"] == "licence ended"
    again = decide(api, approval, "revoke", {"reason": "x"})
    assert (again.status_code, again.json()["code"], again.json()["error_type"]) == (
        409,
        "REVOCATION_FAILED",
        "RevocationFailed",
    )


def test_twenty_approvals_at_once_make_one_publication(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", "b")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: decide(api, approval, "approve"), range(20)))
    assert sorted(a.status_code for a in answers) == [200] + [409] * 19
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"APPROVAL_FAILED"}
    assert published(api) == ["a", "b"]
    steps = api.get(f"/api/approvals/{approval}/history")["steps"]
    assert [s["to_status"] for s in steps] == ["pending", "approved"]
    deeds = api.get("/api/admin/audit", object_id=approval)["entries"]
    assert [(d["actor"], d["action"]) for d in deeds] == [("rita", "approval.approve")]


def test_a_decision_is_in_the_jobs_history(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a")
    decide(api, approval, "approve")
    job = api.get(f"/api/approvals/{approval}")["job_id"]
    events = api.get(f"/api/jobs/{job}/events", event_type="status_update")["events"]
    assert [e["checkpoint_name"] for e in events] == ["approval_approve"]
    assert events[0]["event_data"]["reviewer"] == "rita"


def test_pages_of_records_follow_each_other(api: Api, shelf: Catalogue) -> None:
    made = [finished(api, name) for name in ("a", "b", "d")]
    decide(api, made[0], "approve")
    first = api.get("/api/approvals", limit=2)
    second = api.get("/api/approvals", limit=2, cursor=first["next_cursor"])
    assert [r["approval_id"] for r in first["approvals"] + second["approvals"]] == made[::-1]
    assert second["next_cursor"] is None
    assert first["status_counts"] == {"pending": 2, "approved": 1}
    assert [r["approval_id"] for r in api.get("/api/approvals", status="approved")["approvals"]] == made[:1]
    assert api.get("/api/approvals", collection_id="elsewhere")["approvals"] == []
    assert api.get("/api/approvals", offset=2)["approvals"][0]["approval_id"] == made[0]
