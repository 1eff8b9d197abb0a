"""Who may decide, in whose name, and what policies change about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_approvals import decide, finished, published, states
from tests.support.api import Api
from tests.support.serving import Catalogue, make_catalogue

POLICIES = "/api/admin/approval-policies"


@pytest.fixture
def shelf(db: str, tmp_path: Path) -> Catalogue:
    """A catalogue with three items that nobody has approved."""
    made = make_catalogue(db, tmp_path / "storage")
    made.collection("c")
    for name in ("a", "b", "d"):
        made.item("c", name, published=False)
    return made


def set_policy(api: Api, scope: str, **rules: object) -> None:
    answer = api.of("ada").put(f"{POLICIES}/{scope}", json=rules)
    assert answer.status_code == 200, answer.text


def test_nobody_approves_what_he_submitted_unless_a_policy_lets_him(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", by="rita")
    refused = decide(api, approval, "approve", by="rita")
    assert (refused.status_code, "submitted this" in refused.json()["error"]) == (403, True)
    assert (published(api), states(api)) == ([], {approval: "pending"})
    set_policy(api, "default", allow_self=True)
    assert decide(api, approval, "approve", by="rita").status_code == 200
    assert published(api) == ["a"]


def test_a_submitter_may_still_reject_his_own(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a", by="rita")
    assert decide(api, approval, "reject", {"reason": "mine, and wrong"}, by="rita").status_code == 200


def test_a_person_decides_in_no_name_but_his_own(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a")
    refused = decide(api, approval, "approve", {"reviewer": "someone.else@example.org"}, by="pia")
    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert decide(api, approval, "approve", {"reviewer": "pia"}, by="pia").json()["approval"]["reviewer"] == "pia"


def test_a_service_key_names_the_person_it_acts_for(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a")
    made = decide(api, approval, "approve", {"reviewer": "someone@example.org"}).json()["approval"]
    assert made["reviewer"] == "someone@example.org"
    (deed,) = api.get("/api/admin/audit", object_id=approval)["entries"]
    assert (deed["actor"], deed["details"]["reviewer"]) == ("rita", "someone@example.org")


def test_a_service_key_cannot_name_the_submitter(api: Api, shelf: Catalogue) -> None:
    approval = finished(api, "a")
    assert decide(api, approval, "approve", {"reviewer": "ann"}).status_code == 403


def test_two_consents_are_two_people(api: Api, shelf: Catalogue) -> None:
    set_policy(api, "classification:ouo", required_approvals=2)
    approval = finished(api, "a")
    for _ in range(2):
        first = decide(api, approval, "approve", by="rita").json()
        assert (first["action"], first["stac_updated"], first["approvals_given"]) == ("consent_recorded", False, 1)
    assert published(api) == []
    record = api.get(f"/api/approvals/{approval}")
    assert (record["approved_so_far"], record["approvals_required"]) == (["rita"], 2)
    second = decide(api, approval, "approve", by="rex").json()
    assert (second["action"], second["approval"]["reviewer"]) == ("stac_updated", "rex")
    assert published(api) == ["a"]
    steps = api.get(f"/api/approvals/{approval}/history")["steps"]
    assert [(s["to_status"], s["by"]) for s in steps] == [
        ("pending", "ann"),
        ("pending", "rita"),
        ("pending", "rex"),
        ("approved", "rex"),
    ]


def test_a_refusal_takes_earlier_consent_back(api: Api, shelf: Catalogue) -> None:
    set_policy(api, "default", required_approvals=2)
    approval = finished(api, "a")
    decide(api, approval, "approve", by="rita")
    decide(api, approval, "reject", {"reason": "no"}, by="rex")
    decide(api, approval, "resubmit", by="rex")
    assert decide(api, approval, "approve", by="rex").json()["action"] == "consent_recorded"


def test_the_narrowest_policy_decides_and_every_change_is_written_down(api: Api, shelf: Catalogue) -> None:
    set_policy(api, "default", required_approvals=2)
    set_policy(api, "classification:ouo", required_approvals=2)
    set_policy(api, "dataset:s", required_approvals=1)
    approval = finished(api, "a", dataset_id="s", resource_id="r", version_id="1")
    assert api.get(f"/api/approvals/{approval}")["approvals_required"] == 1
    assert api.of("ada").delete(f"{POLICIES}/dataset:s").status_code == 200
    assert api.get(f"/api/approvals/{approval}")["approvals_required"] == 2
    assert [p["scope"] for p in api.get(POLICIES)["policies"]] == ["classification:ouo", "default"]
    deeds = api.get("/api/admin/audit", object_type="policy", object_id="dataset:s")["entries"]
    assert [(d["actor"], d["details"]["new"] is None, d["details"]["old"] is None) for d in deeds] == [
        ("ada", True, False),
        ("ada", False, True),
    ]
    assert api.of("ada").delete(f"{POLICIES}/dataset:s").status_code == 404


@pytest.mark.parametrize("body", [{"required_approvals": 0}, {"required_approvals": 3}, {"require": 1}])
def test_policies_that_mean_nothing_are_refused(api: Api, body: dict) -> None:
    assert api.of("ada").put(f"{POLICIES}/default", json=body).status_code == 400
    assert api.of("ada").put(f"{POLICIES}/everything", json={}).status_code == 400
    assert api.get(POLICIES)["policies"] == []
