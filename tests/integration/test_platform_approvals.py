"""Decisions as partner systems ask for them: by whichever id they have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_approvals import finished, published
from tests.support.api import Api
from tests.support.serving import Catalogue, make_catalogue


@pytest.fixture
def shelf(db: str, tmp_path: Path) -> Catalogue:
    """A catalogue with two items that nobody has approved."""
    made = make_catalogue(db, tmp_path / "storage")
    made.collection("c")
    for name in ("a", "b"):
        made.item("c", name, published=False)
    return made


def post(api: Api, verb: str, by: str = "rita", **body: object) -> tuple[int, dict]:
    answer = api.of(by).post(f"/api/platform/{verb}", json=body)
    return answer.status_code, answer.json()


def test_every_id_that_partners_know_finds_the_record(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", "b", request_id="ef" * 16)
    job = api.get(f"/api/approvals/{approval}")["job_id"]
    ids = {"approval_id": approval, "job_id": job, "stac_item_id": "b", "request_id": "ef" * 16}
    for name, value in ids.items():
        status, answer = post(api, "reject", reason="try", **{name: value})
        assert (status, answer["approval_id"], answer["status"]) == (200, approval, "rejected"), name
        status, answer = post(api, "resubmit", **{name: value})
        assert (status, answer["status"]) == (200, "pending"), name
        status, answer = post(api, "approve", **{name: "nobody"})
        assert (status, answer["code"]) == (404, "NOT_FOUND"), name


def test_the_answers_have_the_fields_that_partners_parse(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", access_level="public")
    status, answer = post(api, "approve", stac_item_id="a", reviewer="someone@example.org", notes="fine")
    assert status == 200
    assert {
        k: answer[k] for k in ("success", "approval_id", "status", "stac_updated", "classification", "message")
    } == {
        "success": True,
        "approval_id": approval,
        "status": "approved",
        "stac_updated": True,
        "classification": "public",
        "message": "Dataset approved successfully",
    }
    assert published(api) == ["a"]
    status, answer = post(api, "approve", stac_item_id="a")
    assert (status, answer["error_type"]) == (409, "ApprovalFailed")
    assert answer["error"] == "Cannot approve: status is 'approved', expected 'pending'."
    status, answer = post(api, "revoke", approval_id=approval, revoker="someone@example.org", reason="wrong")
    assert (status, answer["status"], answer["stac_updated"]) == (200, "revoked", True)
    assert "logged for audit" in answer["warning"]
    assert published(api) == []


@pytest.mark.parametrize("ids", [{}, {"job_id": "x", "approval_id": "y"}])
def test_one_id_is_asked_for(api: Api, ids: dict) -> None:
    status, answer = post(api, "approve", **ids)
    assert (status, answer["error_type"]) == (400, "ValidationError")


def test_revoking_by_item_means_the_revision_that_is_published(api: Api, shelf: Catalogue) -> None:
    first = finished(api, "a")
    post(api, "approve", approval_id=first)
    second = finished(api, "a", widths=[1, 1, 1])
    status, answer = post(api, "revoke", stac_item_id="a", reason="wrong")
    assert (status, answer["approval_id"]) == (200, first)
    status, answer = post(api, "approve", stac_item_id="a")
    assert (status, answer["approval_id"]) == (200, second)


def test_partners_see_and_resubmit_their_own_only(api: Api, shelf: Catalogue) -> None:
    mine, other = finished(api, "a", by="ann"), finished(api, "b", by="bob")
    found = api.get("/api/platform/approvals", "ann")
    assert ([r["approval_id"] for r in found["approvals"]], found["status_counts"]) == ([mine], {"pending": 1})
    assert api.of("ann").get(f"/api/platform/approvals/{other}").status_code == 404
    assert api.get(f"/api/platform/approvals/{mine}", "ann")["approval"]["approval_id"] == mine
    for approval in (mine, other):
        post(api, "reject", approval_id=approval, reason="no")
    assert post(api, "resubmit", by="ann", approval_id=other)[0] == 404
    assert post(api, "resubmit", by="ann", approval_id=mine)[0] == 200
    assert post(api, "approve", by="ann", approval_id=mine)[0] == 403


def test_many_names_are_asked_about_at_once(api: Api, shelf: Catalogue) -> None:
    api.query("INSERT INTO geo.table_catalog (table_name, stac_collection_id, stac_item_id) VALUES ('roads', 'c', 'a')")
    approval = finished(api, "a")
    post(api, "approve", approval_id=approval)
    path = "/api/platform/approvals/status"
    found = api.get(path, stac_item_ids="a,b", stac_collection_ids="c", table_names="roads, rivers")["statuses"]
    assert {name: (s["has_approval"], s["is_approved"]) for name, s in found.items()} == {
        "a": (True, True),
        "b": (False, False),
        "c": (True, True),
        "roads": (True, True),
        "rivers": (False, False),
    }
    assert (found["a"]["approval_id"], found["a"]["reviewer"]) == (approval, "rita")
    assert not api.get(path, "bob", stac_item_ids="a")["statuses"]["a"]["has_approval"]


def elsewhere(api: Api, name: str, by: str) -> str:
    """A review of an item `a` in another collection."""
    approval = finished(api, name, by=by)
    api.query(
        "UPDATE app.approval_items SET stac_collection_id = 'd', stac_item_id = 'a' WHERE approval_id = %s", approval
    )
    return approval


def test_an_item_id_that_two_collections_have_decides_nothing(api: Api, shelf: Catalogue) -> None:
    mine, other = finished(api, "a"), elsewhere(api, "b", "bob")
    for verb, more in (("approve", {}), ("reject", {"reason": "no"})):
        status, answer = post(api, verb, stac_item_id="a", **more)
        assert (status, "several collections" in answer["error"]) == (409, True)
    assert post(api, "reject", approval_id=other, reason="no")[0] == 200
    assert post(api, "approve", stac_item_id="a")[1]["approval_id"] == mine, "one of them is pending"


def test_a_partners_own_record_is_found_behind_a_newer_one_of_another(api: Api, shelf: Catalogue) -> None:
    mine, other = finished(api, "a"), elsewhere(api, "b", "bob")
    path = "/api/platform/approvals/status"
    seen = {by: api.get(path, by, stac_item_ids="a")["statuses"]["a"]["approval_id"] for by in ("ann", "bob")}
    assert seen == {"ann": mine, "bob": other}
    for approval in (mine, other):
        post(api, "reject", approval_id=approval, reason="no")
    status, answer = post(api, "resubmit", by="ann", stac_item_id="a")
    assert (status, answer["approval_id"]) == (200, mine)


def test_more_names_than_are_answered_are_refused(api: Api) -> None:
    path = "/api/platform/approvals/status"
    names = [f"i{n}" for n in range(1001)]
    assert len(api.get(path, stac_item_ids=",".join(names[:1000]))["statuses"]) == 1000
    refused = api.of("ann").get(path, params={"stac_item_ids": ",".join(names)})
    assert (refused.status_code, "1001 names" in refused.json()["error"]) == (400, True)
