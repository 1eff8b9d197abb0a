"""Trying the review out where nothing was processed."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import AppSettings
from tests.support.api import Api, serve


def test_a_made_up_item_goes_through_the_whole_review(api: Api) -> None:
    made = api.of("rita").post("/api/approvals/test", json={"job_id": "ab" * 32, "classification": "PUBLIC"})
    answer = made.json()
    assert (made.status_code, set(answer), answer["success"]) == (201, {"success", "message", "approval"}, True)
    record = answer["approval"]
    assert (record["job_id"], record["classification"], record["status"]) == ("ab" * 32, "public", "pending")
    assert api.get(f"/api/approvals/{record['approval_id']}/evidence")["items"][0]["checks"][0]["valid"] is True
    approved = api.of("rex").post(f"/api/approvals/{record['approval_id']}/approve")
    assert (approved.status_code, approved.json()["stac_updated"]) == (200, True)
    shown = api.query("SELECT content #>> '{properties,app:approved_by}' FROM pgstac.items")
    assert shown == [("rex",)]
    revoked = api.of("rex").post(f"/api/approvals/{record['approval_id']}/revoke", json={"reason": "tried"})
    assert revoked.status_code == 200


def test_each_call_makes_another_record_which_its_maker_may_not_approve(api: Api) -> None:
    first, second = (api.of("rita").post("/api/approvals/test").json()["approval"] for _ in range(2))
    assert first["approval_id"] != second["approval_id"]
    assert first["classification"] == "ouo"
    assert api.of("rita").post(f"/api/approvals/{first['approval_id']}/approve").status_code == 403


@pytest.mark.parametrize("settings", [{"ENVIRONMENT": "production"}, {"WEBSITE_SITE_NAME": "app"}])
def test_outside_development_there_is_no_such_route(db: str, tmp_path: Path, settings: dict[str, str]) -> None:
    with serve(db, tmp_path, app=AppSettings(GEOMACHINE_HOME=tmp_path, **settings)) as api:
        assert api.of("ada").post("/api/approvals/test", json={}).status_code == 404
        assert api.get("/api/approvals")["approvals"] == []
