"""`/api/dbadmin`: administrators look without changing anything, and change the database only when they mean it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from infrastructure.administration.reading import reading
from infrastructure.postgres.pool import Pool
from tests.support.api import Api

MAINTENANCE = "/api/dbadmin/maintenance"


def execute(db: str, *statements: str) -> None:
    with psycopg.connect(db, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


def counted(db: str, statement: str) -> int:
    with psycopg.connect(db) as conn:
        row = conn.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def rivers(db: str) -> str:
    """A table of data with two rows."""
    execute(
        db,
        "CREATE TABLE geo.rivers (fid int PRIMARY KEY, name text NOT NULL DEFAULT 'x', geom geometry(Point, 4326))",
        "INSERT INTO geo.rivers VALUES (1, 'Isar', ST_Point(11, 48, 4326)), (2, 'Amper', NULL)",
        "CREATE INDEX rivers_name ON geo.rivers (name)",
        "ANALYZE geo.rivers",
    )
    return "geo.rivers"


def test_schemas_and_tables_are_listed_with_their_sizes(api: Api, rivers: str) -> None:
    schemas = {s["schema"]: s for s in api.get("/api/dbadmin/schemas")["schemas"]}
    assert {"app", "geo", "pgstac", "public"} <= schemas.keys()
    assert "pg_catalog" not in schemas
    assert schemas["geo"]["total_bytes"] > 0
    tables = {t["table"]: t for t in api.get("/api/dbadmin/schemas/geo/tables")["tables"]}
    assert tables[rivers]["rows"] == 2
    assert tables[rivers]["kind"] == "table"
    assert tables[rivers]["index_bytes"] > 0


def test_a_table_is_shown_by_columns_indexes_and_rows(api: Api, rivers: str) -> None:
    columns = api.get(f"/api/dbadmin/tables/{rivers}", type="columns")["columns"]
    assert [(c["name"], c["type"], c["nullable"], c["default"]) for c in columns] == [
        ("fid", "integer", False, None),
        ("name", "text", False, "'x'::text"),
        ("geom", "geometry(Point,4326)", True, None),
    ]
    indexes = api.get(f"/api/dbadmin/tables/{rivers}", type="indexes")["indexes"]
    assert [(i["name"], i["unique"], i["valid"]) for i in indexes] == [
        ("rivers_name", False, True),
        ("rivers_pkey", True, True),
    ]
    look = api.get(f"/api/dbadmin/tables/{rivers}", type="sample", order_by="name", limit=1)
    assert look["sample"] == [{"fid": 2, "name": "Amper"}]
    assert api.get(f"/api/dbadmin/tables/{rivers}", type="sample", order_by="name", offset=1)["sample"] == [
        {"fid": 1, "name": "Isar"}
    ]
    assert api.get(f"/api/dbadmin/tables/{rivers}")["details"]["rows"] == 2


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("tables/geo.nowhere", 404, "no table geo.nowhere"),
        ("tables/rivers", 400, "schema.table"),
        ("tables/geo.rivers; DROP TABLE app.jobs", 404, "no table"),
        ("tables/geo.rivers?type=sample&order_by=name;--", 400, "order_by"),
        ("tables/app.api_keys?type=sample", 403, "not shown"),
        ("tables/pg_catalog.pg_authid?type=sample", 403, "not shown"),
        ("schemas/nowhere/tables", 404, "no schema"),
    ],
)
def test_what_is_not_there_or_not_shown_is_said(api: Api, rivers: str, path: str, status: int, says: str) -> None:
    answer = api.of("ada").get(f"/api/dbadmin/{path}")
    assert answer.status_code == status, answer.text
    assert says in answer.text


def test_what_runs_who_waits_and_who_is_connected(api: Api, db: str, rivers: str) -> None:
    with psycopg.connect(db, application_name="holder") as holder:
        holder.execute("LOCK TABLE geo.rivers")

        def wait() -> None:
            with psycopg.connect(db, application_name="waiter", autocommit=True) as waiter:
                waiter.execute("SELECT count(*) FROM geo.rivers")

        waiting = threading.Thread(target=wait)
        waiting.start()
        locks: list[dict[str, object]] = []
        for _ in range(200):
            locks = api.get("/api/dbadmin/activity", type="locks")["locks"]
            if locks:
                break
            waiting.join(0.05)
        (lock,) = locks
        assert (lock["application"], lock["object"]) == ("waiter", rivers)
        assert lock["blocked_by"] == [holder.info.backend_pid]
        running = {r["application"]: r for r in api.get("/api/dbadmin/activity")["running"]}
        assert running["waiter"]["query"] == "SELECT count(*) FROM geo.rivers"
        assert running["holder"]["state"] == "idle in transaction"
        assert api.get("/api/dbadmin/activity", type="slow", seconds=3600)["running"] == []
        programs = {c["application"] for c in api.get("/api/dbadmin/activity", type="connections")["connections"]}
        assert {"holder", "waiter"} <= programs
    waiting.join(30)
    assert not waiting.is_alive()


def test_the_condition_names_what_is_wrong_and_what_to_do(api: Api, db: str, rivers: str) -> None:
    healthy = api.get("/api/dbadmin/health")
    assert healthy["vitals"]["bytes"] == pytest.approx(
        counted(db, "SELECT pg_database_size(current_database())"), rel=0.05
    )
    assert healthy["warnings"] == []
    execute(db, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'geo.rivers_name'::regclass")
    (warning,) = api.get("/api/dbadmin/health")["warnings"]
    assert warning == {
        "what": "The index geo.rivers_name is invalid.",
        "fix": "Run REINDEX INDEX CONCURRENTLY geo.rivers_name.",
    }


def test_scanned_tables_and_unused_indexes_are_told(api: Api, db: str, rivers: str) -> None:
    execute(db, "SELECT * FROM geo.rivers", "SELECT pg_stat_force_next_flush()")
    found = api.get("/api/dbadmin/health/performance")
    assert rivers in {t["table"] for t in found["scanned_tables"]}
    assert "geo.rivers_name" in {i["index"] for i in found["unused_indexes"]}


def test_the_catalogue_tells_its_version_and_what_it_holds(api: Api, db: str) -> None:
    execute(db, """SELECT pgstac.create_collection('{"id": "c1", "type": "Collection"}')""")
    found = api.get("/api/dbadmin/pgstac")
    assert found["version"] == found["wanted_version"]
    assert (found["collections"], found["queued_queries"]) == (1, 0)


def test_our_types_functions_and_rights(api: Api) -> None:
    enums = {e["name"]: e["labels"] for e in api.get("/api/dbadmin/diagnostics", type="enums")["enums"]}
    assert enums["app.access_level"] == ["public", "ouo", "restricted"]
    functions = {f["name"] for f in api.get("/api/dbadmin/diagnostics", type="functions")["functions"]}
    assert any(name.startswith("app.archive_jobs(") for name in functions)
    rights = {p["schema"]: p for p in api.get("/api/dbadmin/diagnostics", type="privileges")["privileges"]}
    assert rights["app"]["may_use"] is True


def test_looking_is_done_where_postgresql_refuses_to_write(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), reading(pool) as conn:
        conn.execute("CREATE TABLE geo.x (n int)")


def test_drift_is_told_and_ensure_mends_it_only_when_confirmed(api: Api, db: str) -> None:
    assert api.get("/api/dbadmin/drift") == {
        "drifted": False,
        "differences": [],
        "summary": "The database is as the models declare it.",
    }
    execute(db, "ALTER TABLE app.jobs DROP COLUMN correlation_id", "ALTER TABLE app.jobs ADD COLUMN strange int")
    found = {(d["kind"], d["object"], d["additive"]) for d in api.get("/api/dbadmin/drift")["differences"]}
    assert found == {("column", "app.jobs.correlation_id", True), ("column", "app.jobs.strange", False)}
    ada = api.of("ada")
    for action in ("check", "ensure"):
        answer = ada.post(f"{MAINTENANCE}?action={action}").json()
        assert answer["executed"] is False
        assert answer["would"]["left"] == ["column app.jobs.strange: not declared"]
        assert "token" not in answer or answer["token"] is None
    assert ada.post(f"{MAINTENANCE}?action=check&confirm=yes").json()["executed"] is False
    assert api.get("/api/dbadmin/drift")["drifted"] is True
    done = ada.post(f"{MAINTENANCE}?action=ensure&confirm=yes").json()
    assert done["executed"] is True
    assert done["result"]["applied"] == ["column app.jobs.correlation_id: missing"]
    assert done["result"]["remaining"] == ["column app.jobs.strange: not declared"]
    assert [d["object"] for d in api.get("/api/dbadmin/drift")["differences"]] == ["app.jobs.strange"]
    assert [e["action"] for e in api.get("/api/admin/audit")["entries"]] == ["database.ensure"]


def test_a_rebuild_takes_the_token_of_its_own_outlook(api: Api, db: str, rivers: str) -> None:
    api.submit(name="x")
    ada = api.of("ada")
    refused = ada.post(f"{MAINTENANCE}?action=rebuild&confirm=yes")
    assert refused.status_code == 400
    assert "token" in refused.json()["error"]
    outlook = ada.post(f"{MAINTENANCE}?action=rebuild").json()
    assert outlook["executed"] is False
    assert {s["schema"] for s in outlook["would"]["schemas_to_drop"]} == {"app", "geo", "pgstac"}
    other = ada.post(f"{MAINTENANCE}?action=cleanup").json()["token"]
    for wrong in (other, outlook["token"] + "0", "nonsense", "99999999999-" + "0" * 32):
        assert ada.post(f"{MAINTENANCE}?action=rebuild&confirm=yes&token={wrong}").status_code == 400
    assert counted(db, "SELECT count(*) FROM app.jobs") == 1
    done = ada.post(f"{MAINTENANCE}?action=rebuild&confirm=yes&token={outlook['token']}")
    assert done.status_code == 200, done.text
    assert done.json()["result"]["remaining"] == []
    assert counted(db, "SELECT count(*) FROM app.jobs") == 0
    assert counted(db, "SELECT count(*) FROM pg_tables WHERE tablename = 'rivers'") == 0
    assert [e["action"] for e in api.get("/api/admin/audit")["entries"]] == ["database.rebuild"]
    # A request that is sent twice must not empty the database twice.
    again = ada.post(f"{MAINTENANCE}?action=rebuild&confirm=yes&token={outlook['token']}")
    assert again.status_code == 400


def test_a_rebuild_that_is_sent_twice_at_once_is_done_once(api: Api, db: str) -> None:
    ada = api.of("ada")
    token = ada.post(f"{MAINTENANCE}?action=rebuild").json()["token"]
    with ThreadPoolExecutor(3) as callers:
        sent = [callers.submit(ada.post, f"{MAINTENANCE}?action=rebuild&confirm=yes&token={token}") for _ in range(3)]
    assert sorted(each.result().status_code for each in sent) == [200, 400, 400]
    assert [e["action"] for e in api.get("/api/admin/audit")["entries"]] == ["database.rebuild"]
    assert api.get("/api/dbadmin/drift")["drifted"] is False


def test_who_deletes_is_in_the_log_of_the_process_before_anything_is_gone(api: Api) -> None:
    ada = api.of("ada")
    token = ada.post(f"{MAINTENANCE}?action=cleanup").json()["token"]
    with capture_logs() as lines:
        assert ada.post(f"{MAINTENANCE}?action=ensure&confirm=yes").status_code == 200
        assert ada.post(f"{MAINTENANCE}?action=cleanup&confirm=yes&token={token}").status_code == 200
    [line] = [line for line in lines if line["event"] == "database_maintenance"]
    assert (line["log_level"], line["action"], line["by"]) == ("warning", "cleanup", "ada")


def test_a_database_without_our_schema_is_told_so_with_what_to_do(api: Api, db: str) -> None:
    execute(db, "DROP SCHEMA app CASCADE")
    answer = api.of("ada").get("/api/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert answer.json()["error"] == 'The schema is not complete: relation "app.jobs" does not exist.'
    assert "db ensure" in answer.json()["hint"]
    assert api.of("ada").post(f"{MAINTENANCE}?action=ensure&confirm=yes").status_code == 200
    assert api.of("ada").get("/api/jobs").status_code == 200


def test_a_token_that_is_too_old_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = api.of("ada")
    token = ada.post(f"{MAINTENANCE}?action=cleanup").json()["token"]
    later = datetime.now(UTC) + timedelta(minutes=11)
    monkeypatch.setattr(api.runtime.maintenance, "_now", lambda: later)
    answer = ada.post(f"{MAINTENANCE}?action=cleanup&confirm=yes&token={token}")
    assert answer.status_code == 409
    assert "expired" in answer.json()["error"]


def test_a_cleanup_takes_old_jobs_and_leaves_what_somebody_waits_for(api: Api, db: str) -> None:
    done = api.submit(name="done")
    failed = api.submit(name="failed", behaviour="permanent")
    api.drain()
    fresh = api.submit(name="fresh")
    execute(db, "UPDATE app.jobs SET finished_at = finished_at - interval '40 days' WHERE finished_at IS NOT NULL")
    ada = api.of("ada")
    outlook = ada.post(f"{MAINTENANCE}?action=cleanup&days=30").json()
    assert outlook["would"] == {"jobs_to_archive": 1, "jobs_to_drop": 0, "days": 30}
    query = f"{MAINTENANCE}?action=cleanup&confirm=yes&token={outlook['token']}"
    assert ada.post(f"{query}&days=10").status_code == 400  # not what was looked at
    assert ada.post(f"{query}&days=30").json()["result"] == {"jobs": 1}
    with psycopg.connect(db) as conn:
        rows = conn.execute("SELECT job_id, archived_at IS NOT NULL FROM app.jobs").fetchall()
    assert dict(rows) == {done: True, failed: False, fresh: False}
    outlook = ada.post(f"{MAINTENANCE}?action=cleanup&days=30").json()
    assert outlook["would"] == {"jobs_to_archive": 0, "jobs_to_drop": 1, "days": 30}
    query = f"{MAINTENANCE}?action=cleanup&confirm=yes&token={outlook['token']}"
    assert ada.post(f"{query}&days=30").json()["result"] == {"jobs": 1}
    with psycopg.connect(db) as conn:
        assert {row[0] for row in conn.execute("SELECT job_id FROM app.jobs")} == {failed, fresh}


@pytest.mark.parametrize("caller", ["ann", "rex"])
def test_only_admins_see_or_change_the_database(api: Api, caller: str) -> None:
    assert api.of(caller).get("/api/dbadmin/schemas").status_code == 403
    assert api.of(caller).post(f"{MAINTENANCE}?action=check").status_code == 403


def test_a_get_never_maintains(api: Api) -> None:
    assert api.of("ada").get(f"{MAINTENANCE}?action=rebuild&confirm=yes").status_code == 405
