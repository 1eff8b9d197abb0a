"""Jobs and dead letters on the command line, against a running system."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import time

import psycopg
import pytest

from tests.support.system import System, environment

_number = itertools.count()


def run(system: System, *arguments: str) -> tuple[int, str]:
    env = environment(system.conninfo, system.home, GEOMACHINE_URL=system.base_url, COLUMNS="90")
    done = subprocess.run(
        [sys.executable, "-m", "triggers.cli", *arguments], env=env, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def failed_job(system: System, n: int = 1) -> str:
    body = {"n": n, "message": f"cli {next(_number)}", "failure_rate": 1}
    with system.client() as client:
        job = client.post("/api/jobs/submit/hello_world", json=body).json()["job_id"]
        ends = time.monotonic() + 60
        while client.get(f"/api/jobs/status/{job}").json()["status"] != "failed":
            assert time.monotonic() < ends
            time.sleep(0.05)
    return job


@pytest.fixture
def system(uvicorn_system: System) -> System:
    return uvicorn_system


def test_a_job_is_found_by_how_its_id_begins(system: System) -> None:
    job = failed_job(system)
    code, printed = run(system, "jobs", "--status", "failed", "--job-type", "hello_world")
    assert code == 0
    assert job[:12] in printed
    code, printed = run(system, "events", job[:12], "--limit", "2")
    assert code == 0, printed
    assert [line.split()[1] for line in printed.splitlines()] == ["task_failed", "job_failed"]
    code, printed = run(system, "timeline", "0" * 40)
    assert (code, "NOT_FOUND" in printed) == (1, True)


def test_any_job_can_be_watched_to_its_end(system: System) -> None:
    job = failed_job(system)
    code, printed = run(system, "watch", job[:16])
    assert code == 1
    assert "was asked to fail. Lower failure_rate. [INJECTED_FAILURE]" in printed


def test_the_timeline_of_a_large_job_shows_the_tasks_in_trouble(system: System) -> None:
    code, printed = run(system, "timeline", failed_job(system, 50), "--limit", "5")
    assert code == 0
    assert re.search(r"s1-\d+ .*failed.*was asked to fail", printed)
    assert " cancelled" not in printed


def test_an_ended_job_cannot_be_cancelled_and_a_failed_one_can_be_retried(system: System) -> None:
    job = failed_job(system)
    code, printed = run(system, "cancel", job, "--reason", "too late")
    assert (code, "failed already" in printed) == (1, True)
    code, printed = run(system, "retry", job)
    assert (code, "Run 2 starts" in printed) == (0, True)


def test_letters_are_redriven_and_discarded_by_the_fingerprint_that_the_list_shows(system: System) -> None:
    failed_job(system)
    code, printed = run(system, "dead-letters", "list", "--error-code", "INJECTED_FAILURE")
    assert code == 0
    [fingerprint] = set(re.findall(r"\b[0-9a-f]{32}\b", printed))
    assert run(system, "dead-letters", "redrive")[0] == 1
    code, printed = run(system, "dead-letters", "redrive", fingerprint)
    assert "run again." in printed
    assert run(system, "dead-letters", "discard", "--all")[0] == 2  # the reason is required
    failed_job(system)
    code, printed = run(system, "dead-letters", "discard", fingerprint, "--reason", "tests")
    assert code == 0
    assert re.search(r"[1-9]\d* discarded\.", printed)
    code, printed = run(system, "dead-letters", "list", "--each", "--state", "discarded")
    assert "discarded" in printed


def test_status_tells_what_to_do_about_a_component_that_wants_a_look(system: System) -> None:
    late = "INSERT INTO app.outbox (topic, dedup_key, payload, not_before, created_at) VALUES"
    late += " ('webhook', 'late', '{}', now() + interval '1 day', now() - interval '20 minutes')"
    with psycopg.connect(system.conninfo, autocommit=True) as conn:
        conn.execute(late)
        code, printed = run(system, "status")
        conn.execute("DELETE FROM app.outbox WHERE dedup_key = 'late'")
    assert code == 0, printed
    told = " ".join(printed.split())
    assert re.search(
        r"outbox: degraded in [\d.]+ ms A promise has waited for 12\d\d s. See last_error in app.outbox.", told
    )


def test_an_error_is_shown_with_the_brackets_that_it_has(system: System) -> None:
    code, printed = run(system, "approve", "[a-z]")
    assert code == 1
    assert "'[a-z]'" in printed


@pytest.mark.parametrize("text", ["zzz", "../health"])
def test_what_is_no_job_is_told_so_whatever_it_looks_like(system: System, text: str) -> None:
    code, printed = run(system, "events", text)
    assert (code, printed.strip()) == (
        1,
        f"Error: There is no job or request '{text}'. ./geomachine jobs lists them. [NOT_FOUND]",
    )
