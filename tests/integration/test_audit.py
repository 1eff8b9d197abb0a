"""Who did what to which object, when and from where: written with the deed, never rewritten, read by admins."""

from __future__ import annotations

import psycopg
import pytest

from core.contracts.principals import SYSTEM
from core.models.audit import AuditAction
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Pool
from tests.support.api import Api


def deeds(api: Api, **query: object) -> list[tuple[str, str, str]]:
    found = api.get("/api/admin/audit", **query)["entries"]
    return [(e["actor"], e["action"], e["object_id"]) for e in found]


def test_what_people_do_to_a_job_is_in_the_log_with_who_and_from_where(api: Api) -> None:
    job = api.submit(name="x")
    answer = api.of("ann").post(
        f"/api/jobs/{job}/cancel", json={"reason": "wrong file"}, headers={"X-Request-ID": "call-7"}
    )
    assert answer.status_code == 200
    (entry,) = api.get("/api/admin/audit", object_type="job", object_id=job)["entries"]
    assert {k: entry[k] for k in ("actor", "client_id", "credential", "address", "request_id", "action")} == {
        "actor": "ann",
        "client_id": "ann",
        "credential": "key ann",
        "address": "testclient",
        "request_id": "call-7",
        "action": "job.cancel",
    }
    assert entry["details"] == {"run": 1, "reason": "wrong file"}


def test_every_operation_on_a_job_leaves_one_entry(api: Api) -> None:
    job = api.submit(name="x", behaviour="permanent")
    api.drain()
    ann = api.of("ann")
    assert ann.post(f"/api/jobs/{job}/retry").status_code == 202
    api.drain()
    assert ann.post(f"/api/jobs/{job}/resubmit").status_code == 202
    assert ann.post(f"/api/jobs/{job}/tasks/1/0/cancel").status_code == 200
    assert ann.delete(f"/api/jobs/{job}?confirm=yes&delete_artifacts=true").status_code == 200
    done = [action for _, action, _ in deeds(api, object_id=job)][::-1]
    assert done == ["job.retry", "job.resubmit", "job.cancel_task", "job.delete_artifacts", "job.delete"]


def test_a_refused_operation_leaves_no_entry(api: Api) -> None:
    job = api.submit(name="x")
    api.drain()
    assert api.of("ann").post(f"/api/jobs/{job}/cancel").status_code == 409
    assert deeds(api) == []


def test_an_admins_job_is_in_the_log_once_however_often_he_submits_it(api: Api) -> None:
    for _ in range(2):
        assert api.of("ada").post("/api/jobs/submit/probe_light", json={"name": "x"}).status_code in (200, 202)
    assert [(actor, action) for actor, action, _ in deeds(api)] == [("ada", "job.submit")]


def test_decisions_about_dead_letters_are_in_the_log(api: Api) -> None:
    api.submit(name="x", behaviour="permanent")
    api.drain()
    (letter,) = api.get("/api/admin/dead-letters", group="false")["dead_letters"]
    number = letter["dead_letter_id"]
    ada = api.of("ada")
    assert ada.patch(f"/api/admin/dead-letters/{number}", json={"parameters": {"behaviour": "done"}}).status_code == 200
    assert ada.post(f"/api/admin/dead-letters/{number}/redrive").status_code == 202
    done = deeds(api, object_type="dead_letter", object_id=str(number))
    assert done == [("ada", "dead_letter.redrive", str(number)), ("ada", "dead_letter.edit", str(number))]


def test_the_log_pages_by_number_and_filters(api: Api, pool: Pool) -> None:
    with pool.connection() as conn:
        for number in range(5):
            audit.record(conn, SYSTEM, AuditAction.JOB_RETRY, number)
    first = api.get("/api/admin/audit", limit=2)
    second = api.get("/api/admin/audit", limit=2, cursor=first["next_cursor"])
    last = api.get("/api/admin/audit", limit=2, cursor=second["next_cursor"])
    pages = [[e["object_id"] for e in page["entries"]] for page in (first, second, last)]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert last["next_cursor"] is None
    assert deeds(api, actor="nobody") == []
    assert len(deeds(api, action="job.retry", client_id="system")) == 5
    assert deeds(api, until="2020-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "statement", ["UPDATE app.audit_log SET actor = 'x'", "DELETE FROM app.audit_log", "TRUNCATE app.audit_log"]
)
def test_nobody_rewrites_the_log(pool: Pool, statement: str) -> None:
    with pool.connection() as conn:
        audit.record(conn, SYSTEM, AuditAction.JOB_RETRY, "a")
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            conn.execute(statement)
        assert conn.execute("SELECT count(*) FROM app.audit_log").fetchone() == (1,)


def test_an_entry_goes_with_a_transaction_that_is_rolled_back(pool: Pool) -> None:
    with pool.connection() as conn:
        with conn.transaction(force_rollback=True):
            audit.record(conn, SYSTEM, AuditAction.JOB_RETRY, "a")
        assert conn.execute("SELECT count(*) FROM app.audit_log").fetchone() == (0,)
