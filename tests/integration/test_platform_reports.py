"""What fails, how busy is the machine, and what do old addresses say?"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from core.contracts.storage import BlobName
from core.errors import StorageUnavailable
from infrastructure.storage.local import LocalStorage
from tests.support.api import Api


def failing(api: Api, name: str, by: str = "ann", behaviour: str = "permanent") -> str:
    return api.submit(name=name, by=by, widths=[1, 1, 1], behaviours={"1/0": behaviour})


def test_failures_are_grouped_by_cause(api: Api) -> None:
    alike = {failing(api, f"file-{n}") for n in range(3)}
    other = failing(api, "huge", behaviour="transient")
    good = api.submit(name="fine")
    api.drain()
    statuses = {job: api.get(f"/api/jobs/status/{job}")["status"] for job in (*alike, other, good)}
    assert sorted(statuses.values()) == ["completed", "failed", "failed", "failed", "failed"]
    report = api.get("/api/platform/failures", caller="ann")
    assert (report["total_jobs"], report["total_failures"], report["failure_rate"]) == (5, 4, 80.0)
    assert [p["count"] for p in report["common_patterns"]] == [3, 1]
    first = report["common_patterns"][0]
    assert set(first["job_ids"]) == alike
    assert first["error_code"] == api.get(f"/api/jobs/status/{first['job_ids'][0]}")["errorDetails"]["code"]
    assert {f["job_id"] for f in report["recent_failures"]} == alike | {other}
    newest = report["recent_failures"]
    assert [f["failed_at"] for f in newest] == sorted((f["failed_at"] for f in newest), reverse=True)
    assert len(api.get("/api/platform/failures", caller="ann", limit=2)["recent_failures"]) == 2


def test_a_partner_is_told_of_his_own_failures_only(api: Api) -> None:
    failing(api, "anns")
    failing(api, "bobs", by="bob")
    api.drain()
    assert api.get("/api/platform/failures", caller="bob")["total_failures"] == 1
    assert api.get("/api/platform/failures", caller="ada")["total_failures"] == 2
    assert api.get("/api/platform/failures", caller="rita")["total_failures"] == 2


def test_old_failures_are_left_out(api: Api) -> None:
    failing(api, "old")
    api.drain()
    api.query(
        "UPDATE app.jobs SET created_at = created_at - interval '3 hours',"
        " started_at = started_at - interval '3 hours', finished_at = finished_at - interval '3 hours'"
    )
    assert api.get("/api/platform/failures", hours=2)["total_failures"] == 0
    assert api.get("/api/platform/failures", hours=4)["total_failures"] == 1


def test_platform_health_counts_what_waits_and_what_went_through(api: Api) -> None:
    api.submit(name="done")
    failing(api, "bad")
    api.drain()
    api.submit(name="waits")
    answer = api.get("/api/platform/health", caller="ann")
    assert (answer["status"], answer["ready_for_jobs"]) == ("healthy", True)
    assert answer["summary"] == {"database": "healthy", "storage": "healthy", "service_bus": "not_configured"}
    counts = {k: answer["jobs"][k] for k in ("queue_backlog", "processing", "failed_last_24h", "completed_last_24h")}
    assert counts == {"queue_backlog": 1, "processing": 0, "failed_last_24h": 1, "completed_last_24h": 1}
    assert answer["jobs"]["avg_completion_minutes"] >= 0


class Broken(LocalStorage):
    """A store that is away."""

    def head(self, name: BlobName) -> None:  # type: ignore[override]
        raise StorageUnavailable(f"{name} cannot be reached.")


def test_platform_health_is_503_when_files_cannot_be_reached(api: Api, tmp_path: Path) -> None:
    api.runtime.storage = Broken(tmp_path / "none")
    answer = api.of("ann").get("/api/platform/health")
    assert (answer.status_code, answer.json()["ready_for_jobs"]) == (503, False)
    assert answer.json()["summary"]["storage"] == "unhealthy"


def test_the_old_status_address_answers_and_names_the_new_one(api: Api) -> None:
    job = api.submit(name="old-address")
    answer = api.of("ann").get(f"/api/platform/jobs/{job}/status")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["jobId"], body["_deprecated"]) == (job, True)
    assert body["_migration_url"] == f"/api/platform/status/{job}"
    assert answer.headers["Link"] == f'<{body["_migration_url"]}>; rel="successor-version"'
    assert int(answer.headers["Deprecation"].removeprefix("@")) < datetime.now(UTC).timestamp()
    assert parsedate_to_datetime(answer.headers["Sunset"]) > datetime(2026, 12, 31, tzinfo=UTC)
    assert api.of("bob").get(f"/api/platform/jobs/{job}/status").status_code == 404


@pytest.mark.parametrize("query", ["hours=0", "hours=721", "hours=x", "limit=0"])
def test_a_period_that_makes_no_sense_is_refused_by_name(api: Api, query: str) -> None:
    answer = api.of("ann").get(f"/api/platform/failures?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert query.partition("=")[0] in answer.json()["error"]
