"""Whatever is done to the schema by hand, drift names it, and ensure mends what can be mended without touching data."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import pytest

from infrastructure.postgres import schema
from infrastructure.postgres.schema import DifferenceKind as Kind

Damage = Mapping[str, tuple[tuple[Kind, str], ...]]

#: Statements with what drift must name after them; each group is done to one database.
MENDED: Mapping[str, Damage] = {
    "tables": {
        "ALTER TABLE app.jobs DROP COLUMN correlation_id": ((Kind.COLUMN, "app.jobs.correlation_id"),),
        "ALTER TABLE app.tasks DROP COLUMN progress": (
            (Kind.COLUMN, "app.tasks.progress"),
            (Kind.CONSTRAINT, "app.tasks.ck_tasks_progress"),
        ),
        "DROP INDEX app.ix_jobs_status_created_at_job_key": (
            (Kind.INDEX, "app.jobs.ix_jobs_status_created_at_job_key"),
        ),
        "DROP INDEX app.ux_jobs_job_id_current": ((Kind.INDEX, "app.jobs.ux_jobs_job_id_current"),),
        "ALTER TABLE app.jobs DROP CONSTRAINT ck_jobs_run": ((Kind.CONSTRAINT, "app.jobs.ck_jobs_run"),),
        "ALTER TABLE app.queue DROP CONSTRAINT uq_queue_job_key_stage_task_index": (
            (Kind.CONSTRAINT, "app.queue.uq_queue_job_key_stage_task_index"),
        ),
        "ALTER TABLE app.queue DROP CONSTRAINT pk_queue": ((Kind.CONSTRAINT, "app.queue.pk_queue"),),
        "ALTER TABLE app.stages DROP CONSTRAINT fk_stages_job_key": (
            (Kind.CONSTRAINT, "app.stages.fk_stages_job_key"),
        ),
        "DROP TRIGGER belongs_to_stage ON app.tasks": ((Kind.TRIGGER, "app.tasks.belongs_to_stage"),),
        "ALTER TABLE app.queue RESET (fillfactor)": ((Kind.STORAGE, "app.queue.fillfactor"),),
        "ALTER TABLE app.queue SET (autovacuum_vacuum_scale_factor = 0.5)": (
            (Kind.STORAGE, "app.queue.autovacuum_vacuum_scale_factor"),
        ),
    },
    "enum labels at the front and in between": {
        "DELETE FROM pg_enum WHERE enumlabel = 'raster'": ((Kind.ENUM, "app.data_type"),),
        "DELETE FROM pg_enum WHERE enumlabel = 'restricted'": ((Kind.ENUM, "app.access_level"),),
        "DELETE FROM pg_enum WHERE enumlabel = 'stage_started'": ((Kind.ENUM, "app.job_event_type"),),
    },
    "whole objects": {
        "DROP SCHEMA h3": ((Kind.SCHEMA, "h3"),),
        "DROP FUNCTION app.refuse_transition CASCADE": (
            (Kind.FUNCTION, "app.refuse_transition() RETURNS trigger"),
            (Kind.TRIGGER, "app.jobs.state_guard"),
            (Kind.TRIGGER, "app.stages.state_guard"),
            (Kind.TRIGGER, "app.tasks.state_guard"),
            (Kind.TRIGGER, "app.dataset_approvals.state_guard"),
            (Kind.TRIGGER, "app.artifacts.state_guard"),
        ),
        "DROP TABLE app.external_service_checks": (
            (Kind.TABLE, "app.external_service_checks"),
            (Kind.INDEX, "app.external_service_checks.ix_external_service_checks_service_id_check_id"),
        ),
        "DROP TABLE app.raster_render_configs": (
            (Kind.TABLE, "app.raster_render_configs"),
            (Kind.INDEX, "app.raster_render_configs.ux_raster_render_configs_default"),
        ),
        "CREATE VIEW app.old_view AS SELECT job_id FROM app.jobs": ((Kind.VIEW, "app.old_view"),),
        "CREATE TYPE app.old_type AS (a int)": ((Kind.TYPE, "app.old_type"),),
        "CREATE FUNCTION app.old_function() RETURNS app.old_type LANGUAGE sql AS 'SELECT ROW(1)::app.old_type'": (
            (Kind.FUNCTION, "app.old_function() RETURNS app.old_type"),
        ),
    },
    "code that was tampered with": {
        "CREATE OR REPLACE FUNCTION app.refuse_transition() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NULL; END'": ((Kind.FUNCTION, "app.refuse_transition() RETURNS trigger"),),
        "DROP TRIGGER state_guard ON app.jobs": ((Kind.TRIGGER, "app.jobs.state_guard"),),
        "ALTER TABLE app.stages DISABLE TRIGGER state_guard": ((Kind.TRIGGER, "app.stages.state_guard"),),
        "CREATE OR REPLACE TRIGGER state_guard AFTER UPDATE OF status ON app.tasks FOR EACH ROW WHEN "
        "(OLD.status = 'completed' AND NEW.status <> 'completed') EXECUTE FUNCTION app.refuse_transition()": (
            (Kind.TRIGGER, "app.tasks.state_guard"),
        ),
    },
}

LEFT: Mapping[str, Damage] = {
    "columns and what was added": {
        "ALTER TABLE app.jobs ADD COLUMN note text": ((Kind.COLUMN, "app.jobs.note"),),
        "CREATE TABLE app.scratch (a int CHECK (a > 0))": ((Kind.TABLE, "app.scratch"),),
        "CREATE INDEX extra ON app.jobs (created_at)": ((Kind.INDEX, "app.jobs.extra"),),
        "ALTER TABLE app.jobs ADD CONSTRAINT extra_check CHECK (run < 9)": ((Kind.CONSTRAINT, "app.jobs.extra_check"),),
        "ALTER TABLE app.jobs ALTER COLUMN submitted_by TYPE varchar(9)": ((Kind.COLUMN, "app.jobs.submitted_by"),),
        "ALTER TABLE app.jobs ALTER COLUMN updated_at DROP NOT NULL": ((Kind.COLUMN, "app.jobs.updated_at"),),
        "ALTER TABLE app.jobs ALTER COLUMN run SET DEFAULT 2": ((Kind.COLUMN, "app.jobs.run"),),
        "ALTER TABLE app.jobs ALTER COLUMN status DROP DEFAULT": ((Kind.COLUMN, "app.jobs.status"),),
        "ALTER TABLE app.outbox ALTER COLUMN outbox_id DROP IDENTITY": ((Kind.COLUMN, "app.outbox.outbox_id"),),
        "ALTER TYPE app.etl_status ADD VALUE 'paused'": ((Kind.ENUM, "app.etl_status"),),
        "CREATE TYPE app.mood AS ENUM ('calm')": ((Kind.ENUM, "app.mood"),),
        "ALTER TABLE app.jobs SET (toast_tuple_target = 256)": ((Kind.STORAGE, "app.jobs.toast_tuple_target"),),
    },
    "rules and indexes under the same name": {
        "ALTER TABLE app.jobs DROP CONSTRAINT ck_jobs_run, ADD CONSTRAINT ck_jobs_run CHECK (run >= 0)": (
            (Kind.CONSTRAINT, "app.jobs.ck_jobs_run"),
        ),
        "ALTER TABLE app.jobs DROP CONSTRAINT ck_jobs_stage, "
        "ADD CONSTRAINT ck_jobs_stage CHECK (stage >= 0) NOT VALID": ((Kind.CONSTRAINT, "app.jobs.ck_jobs_stage"),),
        "ALTER TABLE app.stages DROP CONSTRAINT fk_stages_job_key, ADD CONSTRAINT fk_stages_job_key "
        "FOREIGN KEY (job_key) REFERENCES app.jobs (job_key)": ((Kind.CONSTRAINT, "app.stages.fk_stages_job_key"),),
        "ALTER TABLE app.queue DROP CONSTRAINT uq_queue_job_key_stage_task_index, "
        "ADD CONSTRAINT uq_queue_job_key_stage_task_index UNIQUE (job_key, task_index, stage, worker)": (
            (Kind.CONSTRAINT, "app.queue.uq_queue_job_key_stage_task_index"),
        ),
        "DROP INDEX app.ux_jobs_job_id_current; "
        "CREATE UNIQUE INDEX ux_jobs_job_id_current ON app.jobs (job_id) WHERE superseded_at IS NOT NULL": (
            (Kind.INDEX, "app.jobs.ux_jobs_job_id_current"),
        ),
        "DROP INDEX app.ix_job_events_created_at; "
        "CREATE INDEX ix_job_events_created_at ON app.job_events (created_at)": (
            (Kind.INDEX, "app.job_events.ix_job_events_created_at"),
        ),
        "DROP INDEX app.ix_jobs_status_created_at_job_key; "
        "CREATE INDEX ix_jobs_status_created_at_job_key ON app.jobs (job_key, status)": (
            (Kind.INDEX, "app.jobs.ix_jobs_status_created_at_job_key"),
        ),
    },
}


def damage(conninfo: str, *statements: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


def expected(group: Damage) -> list[tuple[Kind, str]]:
    return sorted(item for items in group.values() for item in items)


@pytest.mark.parametrize("group", MENDED)
def test_what_is_missing_or_outdated_is_reported_once_and_mended(db: str, group: str) -> None:
    damage(db, *MENDED[group])
    report = schema.ensure(db)
    assert [(d.kind, d.object) for d in report.applied] == expected(MENDED[group])
    assert all(d.additive for d in report.applied), [str(d) for d in report.applied]
    assert (report.refused, report.remaining) == ((), ())


@pytest.mark.parametrize("group", LEFT)
def test_what_was_changed_or_added_is_reported_once_and_left_as_it_is(db: str, group: str) -> None:
    damage(db, *LEFT[group])
    report = schema.ensure(db)
    assert [(d.kind, d.object) for d in report.remaining] == expected(LEFT[group])
    assert not any(d.additive for d in report.remaining), [str(d) for d in report.remaining]
    assert (report.applied, report.refused) == ((), ())


def test_a_mended_guard_refuses_again(db: str) -> None:
    damage(db, "DROP FUNCTION app.refuse_transition CASCADE")
    schema.ensure(db)
    with psycopg.connect(db) as conn:
        conn.execute(
            "INSERT INTO app.jobs (job_id, job_type, parameters, status, finished_at) "
            "VALUES (repeat('a', 64), 't', '{}', 'cancelled', now())"
        )
        with pytest.raises(psycopg.errors.CheckViolation, match="from cancelled to queued"):
            conn.execute("UPDATE app.jobs SET status = 'queued', finished_at = NULL")


def test_tables_of_published_data_are_no_drift(db: str) -> None:
    damage(
        db,
        "CREATE TABLE geo.roads (id bigint PRIMARY KEY, geom geometry(MultiLineString, 4326), n int CHECK (n > 0))",
        "CREATE INDEX ON geo.roads USING gist (geom)",
        "ALTER TABLE geo.roads SET (fillfactor = 90)",
    )
    assert schema.drift(db) == ()


def test_another_pgstac_version_is_reported(db: str) -> None:
    damage(db, "INSERT INTO pgstac.migrations (version, datetime) VALUES ('0.9.11', now() + interval '1 hour')")
    (found,) = schema.drift(db)
    assert (found.kind, found.detail, found.additive) == (Kind.PGSTAC, "0.9.11 instead of 0.9.12", True)


def test_a_newer_pgstac_is_reported_and_not_touched(db: str) -> None:
    damage(db, "INSERT INTO pgstac.migrations (version, datetime) VALUES ('0.10.0', now() + interval '1 hour')")
    (found,) = schema.ensure(db).remaining
    assert (found.kind, found.additive) == (Kind.PGSTAC, False)


def test_drift_leaves_no_trace_and_waits_for_no_writer(db: str) -> None:
    with psycopg.connect(db) as writer:
        writer.execute("LOCK TABLE app.jobs, app.tasks, app.stages, app.queue IN ROW EXCLUSIVE MODE")
        impatient = psycopg.conninfo.make_conninfo(db, options="-c lock_timeout=2s")
        assert schema.drift(impatient) == ()
    with psycopg.connect(db) as conn:
        assert conn.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'geomachine%'").fetchall() == []


def test_the_report_says_that_nothing_differs(db: str) -> None:
    report = schema.SchemaAnalyzer(db).generate_migration_report()
    assert report.differences == ()
    assert "as the models declare it" in str(report)
