"""Reading a job costs what it returns, however many jobs and tasks there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from infrastructure.postgres.job_reader import conditional
from infrastructure.postgres.queries import Queries
from tests.support.api import Api

TASKS = 5000
JOBS = Queries("jobs")
TIMELINE = Queries("timeline")


def explain(db: str, statement: sql.Composable, values: Mapping[str, object]) -> tuple[int, set[str]]:
    """How many rows the scans of a statement read, and what kinds of scan they are."""
    with psycopg.connect(db) as conn:
        text = sql.SQL("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ") + statement
        plan = conn.execute(text, values).fetchone()[0][0]["Plan"]
    return read(plan), kinds(plan)


def read(plan: dict) -> int:
    own = 0
    if "Scan" in plan["Node Type"] and plan["Node Type"] != "Subquery Scan":
        dropped = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        own = (plan["Actual Rows"] + dropped) * plan["Actual Loops"]
    return round(own) + sum(read(child) for child in plan.get("Plans", ()))


def kinds(plan: dict) -> set[str]:
    found = {f"{plan['Node Type']} on {plan['Relation Name']}"} if "Relation Name" in plan else set()
    return found.union(*(kinds(child) for child in plan.get("Plans", ())))


@pytest.fixture
def many(api: Api) -> Api:
    """30,000 jobs of three types, four callers and all states."""
    api.query(
        "INSERT INTO app.jobs (job_id, job_type, parameters, status, submitted_by, created_at, finished_at, error_code,"
        " result)"
        " SELECT encode(sha256(n::text::bytea), 'hex'), 'type-' || mod(n, 3), '{}',"
        " CASE WHEN mod(n, 1000) = 0 THEN 'failed' ELSE 'completed' END::app.job_status, 'caller-' || mod(n, 4),"
        " '2026-01-01'::timestamptz + n * interval '1 minute', '2026-06-01', 'X', '{}' FROM generate_series(1, 30000) n"
    )
    api.query("ANALYZE app.jobs")
    return api


@pytest.mark.parametrize(
    ("conditions", "values"),
    [
        ([], {}),
        (["jobs_before"], {"before_at": datetime(2026, 1, 10, tzinfo=UTC), "before_key": 13000}),
        (["jobs_status"], {"status": "failed"}),
        (["jobs_job_type"], {"job_type": "type-1"}),
        (["jobs_submitted_by"], {"submitted_by": "caller-3"}),
        (["jobs_created_before"], {"created_before": datetime(2026, 1, 5, tzinfo=UTC)}),
        (["jobs_created_after"], {"created_after": datetime(2026, 1, 5, tzinfo=UTC)}),
        (["jobs_q"], {"q": "abcd"}),
    ],
)
def test_a_page_of_jobs_reads_little_more_than_itself(
    many: Api, conditions: list[str], values: dict[str, object]
) -> None:
    rows, scans = explain(many.db, conditional("jobs", conditions), {**values, "limit": 20})
    assert scans == {"Index Scan on jobs"}
    assert rows <= 40


@pytest.fixture
def large(api: Api) -> str:
    """A job whose second stage has 5,000 tasks, half of them done, one failed once; its id."""
    job = api.submit(name="large", widths=[1, TASKS, 1], behaviour="transient once")
    api.runtime.machine.process(api.claim()[0])
    api.runtime.machine.process(api.claim(machine=api.runtime.worker("patient"))[0])
    api.run_light(TASKS // 2 - 500)
    api.query("ANALYZE app.tasks, app.queue, app.job_events, app.stages")
    return job


def test_status_and_summary_of_a_large_job_agree_with_counting_everything(api: Api, large: str) -> None:
    counted = dict(
        api.query(
            "SELECT t.status::text, count(*) FROM app.tasks t JOIN app.jobs USING (job_key)"
            " WHERE job_id = %s GROUP BY 1",
            large,
        )
    )
    status = api.get(f"/api/jobs/status/{large}")
    assert status["taskSummary"]["total"] == TASKS + 1
    assert status["taskSummary"]["completed"] == counted["completed"] > TASKS // 3
    told = api.get(f"/api/jobs/{large}/events/summary")
    assert told["by_type"]["task_completed"] == counted["completed"]
    whole = api.query("SELECT count(*) FROM app.job_events e JOIN app.jobs USING (job_key) WHERE job_id = %s", large)
    assert (told["total"],) == whole[0]


def test_the_tasks_of_a_large_job_are_paged_without_loss_while_they_are_worked_on(api: Api, large: str) -> None:
    seen: list[tuple[int, int]] = []
    cursor = None
    while True:
        page = api.get(f"/api/jobs/{large}/timeline", limit=500, cursor=cursor)
        seen += [(t["stage"], t["task_index"]) for t in page["tasks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        api.run_light(0, batch=50)
    assert seen[: TASKS + 1] == [(1, 0), *((2, n) for n in range(TASKS))]
    assert len(seen) == len(set(seen))


Statement = Callable[[int], tuple[sql.Composable, dict[str, object]]]


@pytest.mark.parametrize(
    ("statement", "most"),
    [
        (lambda k: (conditional("tasks", []), {"job_key": k, "limit": 50}), 200),
        (
            lambda k: (
                conditional("tasks", ["tasks_after"]),
                {"job_key": k, "limit": 50, "after_stage": 2, "after_index": 4000},
            ),
            200,
        ),
        (
            lambda k: (
                conditional("tasks", ["tasks_error_code"]),
                {"job_key": k, "limit": 50, "error_code": "STORAGE_UNAVAILABLE"},
            ),
            50,
        ),
        (lambda k: (conditional("tasks", ["tasks_failed"]), {"job_key": k, "limit": 50}), 50),
        (lambda k: (sql.SQL(JOBS["stages"]), {"job_key": k}), 1100),
        (lambda k: (sql.SQL(JOBS["open_item"]), {"job_key": k}), 1100),
        (lambda k: (sql.SQL(TIMELINE["counts"]), {"job_key": k}), 50),
        (lambda k: (sql.SQL(TIMELINE["failures"]), {"job_key": k}), 50),
        (
            lambda k: (
                sql.SQL(TIMELINE["attempts"]),
                {"job_key": k, "stages": [2] * 100, "indexes": list(range(100))},
            ),
            250,
        ),
    ],
    ids=["tasks", "later", "error", "failed", "stages", "open", "counts", "failures", "attempts"],
)
def test_reading_a_large_job_touches_few_rows(api: Api, large: str, statement: Statement, most: int) -> None:
    [(key,)] = api.query("SELECT job_key FROM app.jobs WHERE job_id = %s", large)
    rows, scans = explain(api.db, *statement(key))
    assert rows <= most
    assert not {f"Seq Scan on {table}" for table in ("tasks", "queue", "job_events")} & scans
