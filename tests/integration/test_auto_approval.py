"""What a policy approves without a person, and what it leaves to people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.contracts.storage import BlobName
from tests.integration.test_four_eyes import set_policy
from tests.integration.test_revisions import decide, load, served, submit
from tests.support.api import Api
from tests.support.raster import write_tiff

OPEN = {"auto_approve": True, "max_extent_percent": 50, "max_count_percent": 100}


def sweep(api: Api) -> None:
    api.runtime.machine.sweep()


def status(api: Api, approval: str) -> str:
    return str(api.get(f"/api/approvals/{approval}")["status"])


def reasons(api: Api, approval: str) -> list[str]:
    """Why the policy left a review to people, as the job's history has it."""
    job = api.get(f"/api/approvals/{approval}")["job_id"]
    events = api.get(f"/api/jobs/{job}/events", limit=500)["events"]
    found = [e for e in events if e["checkpoint_name"] == "approval_left_to_people"]
    assert [e["event_data"]["approval_id"] for e in found] == [approval]
    return [str(reason) for reason in found[0]["event_data"]["reasons"]]


def test_a_policy_approves_a_revision_that_hardly_differs(api: Api) -> None:
    set_policy(api, "dataset:towns", **OPEN)
    decide(api, load(api, "old", "other"))
    second = load(api, "new", "other", overwrite=True)
    assert (status(api, second), served(api)) == ("pending", ["old", "other"])
    sweep(api)
    record = api.get(f"/api/approvals/{second}")
    assert (record["status"], record["reviewer"]) == ("approved", "policy dataset:towns")
    assert served(api) == ["new", "other"]
    assert [s["by"] for s in api.get(f"/api/approvals/{second}/history")["steps"]] == ["ann", "policy dataset:towns"]
    (deed,) = api.get("/api/admin/audit", object_id=second)["entries"]
    assert (deed["actor"], deed["action"], deed["details"]["reviewer"]) == (
        "system",
        "approval.approve",
        "policy dataset:towns",
    )
    events = api.get(f"/api/jobs/{record['job_id']}/events", limit=500)["events"]
    assert "approval_approve" in {e["checkpoint_name"] for e in events}


def test_a_first_revision_waits_for_a_person(api: Api) -> None:
    set_policy(api, "default", **OPEN)
    first = load(api, "old")
    sweep(api)
    assert status(api, first) == "pending"
    assert reasons(api, first) == ["system-vectors/postgis-geo-towns_r_v1: it is not published yet."]


def test_nothing_is_decided_without_a_policy_that_says_so(api: Api) -> None:
    set_policy(api, "default", max_extent_percent=100, max_count_percent=100)
    decide(api, load(api, "old"))
    second = load(api, "new", overwrite=True)
    sweep(api)
    assert status(api, second) == "pending"


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"max_count_percent": 49, "max_extent_percent": 100}, "2 rows or pixels became 3"),
        ({"max_count_percent": 50, "max_extent_percent": 99}, "its extent changed by more than the policy's 99 %"),
    ],
)
def test_a_change_beyond_a_bound_waits_for_a_person(api: Api, bounds: dict, reason: str) -> None:
    # Points lie in a row, one degree apart: from two to three the box doubles, and half as many rows are added.
    set_policy(api, "default", auto_approve=True, **bounds)
    decide(api, load(api, "a", "b"))
    second = load(api, "a", "b", "c", overwrite=True)
    sweep(api)
    assert (status(api, second), served(api)) == ("pending", ["a", "b"])
    assert [reason in text for text in reasons(api, second)] == [True]


def test_a_change_within_both_bounds_is_approved(api: Api) -> None:
    set_policy(api, "default", auto_approve=True, max_count_percent=50, max_extent_percent=100)
    decide(api, load(api, "a", "b"))
    second = load(api, "a", "b", "c", overwrite=True)
    sweep(api)
    assert (status(api, second), served(api)) == ("approved", ["a", "b", "c"])


def put_features(api: Api, *features: dict) -> None:
    text = json.dumps({"type": "FeatureCollection", "features": list(features)})
    api.runtime.storage.put(text.encode(), BlobName("bronze-vectors", "towns.geojson"))


def feature(coordinates: list, kind: str = "Point", **properties: object) -> dict:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def overwrite(api: Api, *features: dict) -> str:
    put_features(api, *features)
    return submit(api, "bronze-vectors", "towns.geojson", overwrite=True)["approval"]["approval_id"]


def test_another_column_waits_for_a_person(api: Api) -> None:
    set_policy(api, "default", **OPEN)
    decide(api, load(api, "old"))
    second = overwrite(api, feature([30, -2], name="old", height=3))
    sweep(api)
    (reason,) = reasons(api, second)
    assert (status(api, second), "columns added: height." in reason) == ("pending", True)


def test_a_finding_above_information_waits_for_a_person(api: Api) -> None:
    bow_tie = [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]
    square = [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]
    put_features(api, feature(square, "Polygon", name="a"))
    decide(api, submit(api, "bronze-vectors", "towns.geojson")["approval"]["approval_id"])
    set_policy(api, "default", **OPEN)
    second = overwrite(api, feature(bow_tie, "Polygon", name="a"))
    sweep(api)
    assert status(api, second) == "pending"
    assert ["findings: " in reason for reason in reasons(api, second)] == [True]


def test_another_access_level_waits_for_a_person(api: Api) -> None:
    set_policy(api, "default", **OPEN)
    decide(api, load(api, "old"))
    api.query(
        "UPDATE pgstac.items SET content = jsonb_set(content, '{properties,platform:access_level}', '\"restricted\"')"
    )
    second = load(api, "new", overwrite=True)
    sweep(api)
    assert status(api, second) == "pending"
    assert ["its access level is not the same" in reason for reason in reasons(api, second)] == [True]


def put_heights(api: Api, folder: Path, first: int, dtype: str = "uint16") -> None:
    heights = np.arange(first, first + 64 * 64).reshape(64, 64).astype(dtype)
    api.runtime.storage.upload(write_tiff(folder / "r.tif", heights), BlobName("bronze-rasters", "r.tif"))


def test_new_pixels_on_the_same_grid_are_low_risk_and_another_type_is_not(api: Api, tmp_path: Path) -> None:
    set_policy(api, "default", auto_approve=True)
    put_heights(api, tmp_path, 100)
    decide(api, submit(api, "bronze-rasters", "r.tif")["approval"]["approval_id"])
    put_heights(api, tmp_path, 200)
    second = submit(api, "bronze-rasters", "r.tif", overwrite=True)["approval"]["approval_id"]
    sweep(api)
    assert status(api, second) == "approved", reasons(api, second)
    put_heights(api, tmp_path, 300, "int32")
    third = submit(api, "bronze-rasters", "r.tif", overwrite=True)["approval"]["approval_id"]
    sweep(api)
    assert (status(api, third), ["dtype" in r for r in reasons(api, third)]) == ("pending", [True])


def test_what_a_person_decided_first_stays(api: Api) -> None:
    set_policy(api, "default", **OPEN)
    decide(api, load(api, "old"))
    second = load(api, "new", overwrite=True)
    decide(api, second, "reject", reason="not these")
    sweep(api)
    assert (status(api, second), served(api)) == ("rejected", ["old"])
    decide(api, second, "resubmit")
    sweep(api)
    assert status(api, second) == "pending"


def test_a_policy_that_was_taken_back_meanwhile_approves_nothing(api: Api) -> None:
    set_policy(api, "default", **OPEN)
    decide(api, load(api, "old"))
    second = load(api, "new", overwrite=True)
    set_policy(api, "default", required_approvals=2)
    sweep(api)
    assert (status(api, second), served(api)) == ("pending", ["old"])
