"""The database refuses exactly the status changes that core.states does not list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from core.states import (
    APPROVAL_TRANSITIONS,
    ARTIFACT_TRANSITIONS,
    JOB_TRANSITIONS,
    STAGE_TRANSITIONS,
    TASK_TRANSITIONS,
    ApprovalStatus,
    ArtifactStatus,
    JobStatus,
    StageStatus,
    TaskStatus,
)
from tests.support.schema_rows import JOB_ID, ROWS, insert, insert_parents

NOW = datetime(2026, 1, 2, tzinfo=UTC)
UNFINISHED = {"queued", "processing", "pending"}
TABLES: Mapping[str, tuple[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]]] = {
    "app.jobs": (JobStatus, {**JOB_TRANSITIONS}),
    "app.stages": (StageStatus, {**STAGE_TRANSITIONS}),
    "app.tasks": (TaskStatus, {**TASK_TRANSITIONS}),
    "app.dataset_approvals": (ApprovalStatus, {**APPROVAL_TRANSITIONS}),
    "app.artifacts": (ArtifactStatus, {**ARTIFACT_TRANSITIONS}),
}


def facts(table: str, status: str) -> dict[str, object]:
    """What a row in this status must have besides, so that nothing but the move itself can be refused."""
    if table == "app.dataset_approvals":
        decided = status != "pending"
        return {
            "status": status,
            "reviewer": "r" if decided else None,
            "reviewed_at": NOW if decided else None,
            "rejection_reason": "x",
            "revoked_at": NOW,
            "revoked_by": "r",
            "revocation_reason": "x",
            "superseded_by": "apr-" + "0" * 32,
        }
    if table == "app.artifacts":
        return {"status": status, "superseded_at": NOW, "deleted_at": NOW if status == "deleted" else None}
    row: dict[str, object] = {"status": status, "finished_at": None if status in UNFINISHED else NOW}
    if table == "app.stages":
        return {**row, "remaining": 0, "failed": 1}
    row["error_code"] = "X"
    row["result"] = Jsonb({}) if status.startswith("completed") else None
    return row


def update(conn: psycopg.Connection, table: str, values: Mapping[str, object]) -> None:
    assignments = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(c), sql.Placeholder()) for c in values)
    statement = sql.SQL("UPDATE {} SET {}").format(sql.Identifier(*table.split(".")), assignments)
    assert conn.execute(statement, list(values.values())).rowcount == 1


@pytest.fixture
def conn(db: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(db) as opened:
        insert_parents(opened)
        yield opened
        opened.rollback()


def put(conn: psycopg.Connection, table: str, status: str) -> None:
    """Make the one row of the table, in this status."""
    conn.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(*table.split("."))))
    insert(conn, table, {**ROWS[table], **facts(table, status)})


@pytest.mark.parametrize("table", TABLES)
def test_every_move_is_allowed_or_refused_as_the_transition_table_says(conn: psycopg.Connection, table: str) -> None:
    statuses, transitions = TABLES[table]
    refusals = 0
    for before in statuses:
        for after in statuses:
            with conn.transaction(force_rollback=True):
                put(conn, table, before.value)
                if after is before or after in transitions[before]:
                    update(conn, table, facts(table, after.value))
                    continue
                with pytest.raises(psycopg.errors.CheckViolation) as refused, conn.transaction():
                    update(conn, table, facts(table, after.value))
                assert refused.value.diag.constraint_name == "state_guard", f"{before} -> {after}"
                assert f"from {before.value} to {after.value}" in str(refused.value)
                refusals += 1
    expected = sum(len(statuses) - 1 - len(successors) for successors in transitions.values())
    assert refusals == expected > 0


def test_a_finished_job_can_be_superseded_but_not_restarted(conn: psycopg.Connection) -> None:
    update(conn, "app.jobs", facts("app.jobs", "failed"))
    update(conn, "app.jobs", {"superseded_at": NOW})
    with pytest.raises(psycopg.errors.CheckViolation), conn.transaction():
        update(conn, "app.jobs", facts("app.jobs", "queued"))
    row = conn.execute("SELECT status::text FROM app.jobs WHERE job_id = %s", [JOB_ID]).fetchone()
    assert row == ("failed",)


def test_allowed_moves_call_no_function(conn: psycopg.Connection) -> None:
    insert(conn, "app.tasks", ROWS["app.tasks"])
    plan = conn.execute(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) UPDATE app.tasks SET status = 'processing'"
    ).fetchone()
    assert plan is not None
    triggers = plan[0][0]["Triggers"]
    assert [t for t in triggers if t["Trigger Name"] == "state_guard" and t["Calls"] > 0] == []
