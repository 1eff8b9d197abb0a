"""`ensure` makes an empty database whole, is idempotent, and several at once do no harm; `rebuild` starts over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from core.errors import ConfigurationError, DatabaseUnavailable
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.templates import Templates
from infrastructure.postgres import schema
from infrastructure.postgres.schema import DifferenceKind
from tests.conftest import ROOT
from tests.support.schema_rows import ROWS, insert, insert_parents


def fetch(conninfo: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]


def fingerprint(conninfo: str) -> list[tuple[object, ...]]:
    """The identity of every object: anything dropped and made again has another."""
    return fetch(
        conninfo,
        """
        SELECT 'class', oid, xmin::text FROM pg_class WHERE relnamespace IN ('app'::regnamespace, 'geo'::regnamespace)
        UNION ALL SELECT 'proc', oid, xmin::text FROM pg_proc
        UNION ALL SELECT 'constraint', oid, xmin::text FROM pg_constraint
        UNION ALL SELECT 'trigger', oid, xmin::text FROM pg_trigger
        UNION ALL SELECT 'enum', oid, xmin::text FROM pg_enum ORDER BY 1, 2
        """,
    )


def test_an_empty_database_becomes_whole_and_a_second_ensure_changes_nothing(empty_db: str) -> None:
    before = schema.drift(empty_db)
    assert {d.kind for d in before} >= {DifferenceKind.EXTENSION, DifferenceKind.SCHEMA, DifferenceKind.PGSTAC}

    first = schema.ensure(empty_db)
    assert first.changed
    assert (first.refused, first.remaining) == ((), ())
    assert schema.drift(empty_db) == ()
    assert {row[0] for row in fetch(empty_db, "SELECT extname FROM pg_extension")} >= {
        "postgis",
        "btree_gist",
        "unaccent",
    }
    assert fetch(empty_db, "SELECT pgstac.get_version()") == [("0.9.12",)]

    made = fingerprint(empty_db)
    second = schema.ensure(empty_db)
    assert (second.applied, second.refused, second.remaining) == ((), (), ())
    assert fingerprint(empty_db) == made


def test_two_ensures_of_one_empty_database_at_once_both_succeed(empty_db: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(schema.ensure, [empty_db, empty_db]))
    assert sorted(report.changed for report in reports) == [False, True]
    assert all(report.remaining == () for report in reports)
    assert schema.drift(empty_db) == ()


def test_two_databases_of_one_cluster_can_be_ensured_at_once(
    empty_db: str, cluster: Cluster, templates: Templates
) -> None:
    name = templates.empty()
    try:
        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(schema.ensure, [empty_db, cluster.conninfo(name)]))
    finally:
        templates.drop(name)
    assert [report.remaining for report in reports] == [(), ()]


def test_a_database_made_from_the_template_has_no_drift(db: str) -> None:
    assert schema.drift(db) == ()


def test_ensure_keeps_what_the_tables_hold(db: str) -> None:
    with psycopg.connect(db) as conn:
        insert_parents(conn)
        conn.execute("DROP INDEX app.ix_jobs_status_created_at_job_key")
        conn.execute("CREATE TABLE geo.user_data AS SELECT 1 AS id")
    report = schema.ensure(db)
    assert [d.object for d in report.applied] == ["app.jobs.ix_jobs_status_created_at_job_key"]
    assert fetch(db, "SELECT (SELECT count(*) FROM app.jobs), (SELECT count(*) FROM geo.user_data)") == [(1, 1)]


def test_rebuild_empties_everything_and_leaves_no_drift(db: str) -> None:
    with psycopg.connect(db) as conn:
        insert_parents(conn)
        conn.execute("CREATE TABLE geo.user_data AS SELECT 1 AS id")
        conn.execute("""SELECT pgstac.create_collection('{"id": "c", "type": "Collection"}')""")
    report = schema.rebuild(db)
    assert report.remaining == ()
    assert fetch(db, "SELECT (SELECT count(*) FROM app.jobs), (SELECT count(*) FROM pgstac.collections)") == [(0, 0)]
    assert fetch(db, "SELECT to_regclass('geo.user_data')") == [(None,)]
    assert schema.drift(db) == ()


def test_a_required_column_returns_to_an_empty_table_but_not_to_one_with_rows(make_db: Callable[[], str]) -> None:
    empty, filled = make_db(), make_db()
    with psycopg.connect(filled) as conn:
        insert(conn, "app.api_requests", ROWS["app.api_requests"])
    for conninfo in (empty, filled):
        with psycopg.connect(conninfo) as conn:
            conn.execute("ALTER TABLE app.api_requests DROP COLUMN source_path")
    assert schema.ensure(empty).remaining == ()
    remaining = schema.ensure(filled).remaining
    assert [(d.kind, d.object, d.additive) for d in remaining] == [
        (DifferenceKind.COLUMN, "app.api_requests.source_path", False)
    ]
    assert fetch(filled, "SELECT count(*) FROM app.api_requests") == [(1,)]


def test_a_check_that_rows_already_break_is_refused_with_the_reason_and_the_rest_is_mended(db: str) -> None:
    with psycopg.connect(db) as conn:
        conn.execute("ALTER TABLE app.api_requests DROP CONSTRAINT ck_api_requests_operation")
        conn.execute("DROP INDEX app.ix_api_requests_job_id")
        insert(conn, "app.api_requests", {**ROWS["app.api_requests"], "operation": "REPLACE"})
    report = schema.ensure(db)
    assert [d.object for d in report.applied] == ["app.api_requests.ix_api_requests_job_id"]
    assert [d.object for d in report.remaining] == ["app.api_requests.ck_api_requests_operation"]
    (refusal,) = report.refused
    assert "ck_api_requests_operation" in refusal.object
    assert "violated by some row" in refusal.reason


def test_a_server_that_is_not_there_is_a_transient_error() -> None:
    with pytest.raises(DatabaseUnavailable):
        schema.ensure("host=127.0.0.1 port=1 dbname=x user=x connect_timeout=2")


def test_a_role_without_rights_is_told_so(db: str) -> None:
    with psycopg.connect(db, autocommit=True) as conn:
        role = f"weak_{conn.info.dbname}"
        conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
        try:
            weak = psycopg.conninfo.make_conninfo(db, user=role, password="weak")
            with pytest.raises(ConfigurationError, match="refused"):
                schema.drift(weak)
        finally:
            conn.execute(f"DROP ROLE {role}")


def test_a_database_of_the_previous_commit_becomes_whole(empty_db: str, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD~1"], cwd=ROOT, capture_output=True)
    if archive.returncode:
        pytest.skip("this copy has no history: the schema of the previous commit is unknown")
    subprocess.run(["tar", "-x", "-C", str(before)], input=archive.stdout, check=True)
    made = "import sys; from infrastructure.postgres import schema; assert not schema.ensure(sys.argv[1]).remaining"
    # Only its own modules: the current directory comes first on the path.
    subprocess.run([sys.executable, "-c", made, empty_db], cwd=before, env=os.environ | {"PYTHONPATH": "."}, check=True)
    assert schema.ensure(empty_db).remaining == ()
    assert schema.drift(empty_db) == ()
