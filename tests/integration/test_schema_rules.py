"""Every rule the models state is kept by the database: checks, keys, foreign keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.types.json import Jsonb

from core.schema.metadata import build_metadata
from tests.support.schema_rows import ROWS, insert, insert_parents

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EARLIER = NOW - timedelta(days=1)
BBOX = {"bbox_minx": 1.0, "bbox_miny": 1.0, "bbox_maxx": 2.0, "bbox_maxy": 2.0}
APPROVED = {"status": "approved", "reviewer": "r@example.org", "reviewed_at": NOW}

#: For each check, what breaks it and nothing else.
SPOILED: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "ck_jobs_job_id": ("app.jobs", {"job_id": "AB" * 32}),
    "ck_jobs_run": ("app.jobs", {"run": 0}),
    "ck_jobs_stage": ("app.jobs", {"stage": -1}),
    "ck_jobs_total_stages": ("app.jobs", {"stage": 0, "total_stages": 0}),
    "ck_jobs_stage_exists": ("app.jobs", {"stage": 3, "total_stages": 2}),
    "ck_jobs_finished_iff_terminal": ("app.jobs", {"status": "cancelled"}),
    "ck_jobs_failed_has_error": ("app.jobs", {"status": "failed", "finished_at": NOW}),
    "ck_jobs_completed_has_result": ("app.jobs", {"status": "completed", "finished_at": NOW}),
    "ck_stages_stage": ("app.stages", {"stage": 0}),
    "ck_stages_expected": ("app.stages", {"expected": -1, "remaining": -1, "failed": -1}),
    "ck_stages_remaining": ("app.stages", {"remaining": -1}),
    "ck_stages_failed": ("app.stages", {"failed": -1}),
    "ck_stages_remaining_of_expected": ("app.stages", {"remaining": 3}),
    "ck_stages_failed_of_expected": ("app.stages", {"failed": 3}),
    "ck_stages_finished_iff_terminal": ("app.stages", {"status": "failed"}),
    "ck_stages_completed_is_empty": ("app.stages", {"status": "completed", "finished_at": NOW}),
    "ck_stages_max_failures": ("app.stages", {"max_failures": 0}),
    "ck_stages_errors_are_counted": (
        "app.stages",
        {"status": "completed_with_errors", "remaining": 0, "finished_at": NOW},
    ),
    "ck_external_services_service_id": ("app.external_services", {"service_id": "AB" * 16}),
    "ck_external_services_url": ("app.external_services", {"url": "x"}),
    "ck_external_services_probe_url": ("app.external_services", {"probe_url": "x"}),
    "ck_external_services_name": ("app.external_services", {"name": ""}),
    "ck_external_services_detection_confidence": ("app.external_services", {"detection_confidence": 1.5}),
    "ck_external_services_last_response_ms": ("app.external_services", {"last_response_ms": -1}),
    "ck_external_services_avg_response_ms": ("app.external_services", {"avg_response_ms": -1}),
    "ck_external_services_consecutive_failures": ("app.external_services", {"consecutive_failures": -1}),
    "ck_external_services_slow_checks": ("app.external_services", {"slow_checks": -1}),
    "ck_external_services_check_interval_minutes": ("app.external_services", {"check_interval_minutes": 4}),
    "ck_curated_datasets_dataset_id": ("app.curated_datasets", {"dataset_id": "Admin-0"}),
    "ck_curated_datasets_name": ("app.curated_datasets", {"name": ""}),
    "ck_curated_datasets_source_url": (
        "app.curated_datasets",
        {"source_type": "blob", "source_url": "x"},
    ),
    "ck_curated_datasets_target_table_name": ("app.curated_datasets", {"target_table_name": "rivers"}),
    "ck_curated_datasets_last_job_id": ("app.curated_datasets", {"last_job_id": "AB" * 32}),
    "ck_curated_datasets_content_sha256": (
        "app.curated_datasets",
        {"source_version": "1", "content_sha256": "AB" * 32},
    ),
    "ck_curated_datasets_source_is_of_its_type": ("app.curated_datasets", {"source_type": "blob"}),
    "ck_curated_datasets_upsert_has_a_key": ("app.curated_datasets", {"update_strategy": "upsert"}),
    "ck_curated_datasets_version_has_content": ("app.curated_datasets", {"source_version": "1"}),
    "ck_curated_update_log_dataset_id": ("app.curated_update_log", {"dataset_id": "Admin-0"}),
    "ck_curated_update_log_job_id": ("app.curated_update_log", {"job_id": "AB" * 32}),
    "ck_curated_update_log_records_added": ("app.curated_update_log", {"records_added": -1}),
    "ck_curated_update_log_records_updated": ("app.curated_update_log", {"records_updated": -1}),
    "ck_curated_update_log_records_deleted": ("app.curated_update_log", {"records_deleted": -1}),
    "ck_curated_update_log_records_total": ("app.curated_update_log", {"records_total": -1}),
    "ck_curated_update_log_ended_has_time": ("app.curated_update_log", {"status": "cancelled"}),
    "ck_curated_update_log_failed_says_why": ("app.curated_update_log", {"status": "failed", "completed_at": NOW}),
    "ck_consistency_findings_dismissed_by_somebody": ("app.consistency_findings", {"state": "dismissed"}),
    "ck_consistency_runs_job_id": ("app.consistency_runs", {"job_id": "AB" * 32}),
    "ck_consistency_runs_items": ("app.consistency_runs", {"items": -1}),
    "ck_consistency_runs_blobs": ("app.consistency_runs", {"blobs": -1}),
    "ck_consistency_runs_tables": ("app.consistency_runs", {"tables": -1}),
    "ck_consistency_runs_seen": ("app.consistency_runs", {"seen": -1}),
    "ck_consistency_runs_opened": ("app.consistency_runs", {"opened": -1}),
    "ck_consistency_runs_closed": ("app.consistency_runs", {"closed": -1}),
    "ck_repairs_by": ("app.repairs", {"by": ""}),
    "ck_repairs_undone_by_somebody": ("app.repairs", {"undone_by": "ada"}),
    "ck_table_measures_row_count": ("app.table_measures", {"row_count": -1}),
    "ck_external_service_checks_service_id": ("app.external_service_checks", {"service_id": "AB" * 16}),
    "ck_external_service_checks_response_ms": ("app.external_service_checks", {"response_ms": -1}),
    "ck_tasks_stage": ("app.tasks", {"stage": 0}),
    "ck_tasks_task_index": ("app.tasks", {"task_index": -1}),
    "ck_tasks_attempt": ("app.tasks", {"attempt": -1}),
    "ck_tasks_checkpoint_phase": ("app.tasks", {"checkpoint_phase": -1}),
    "ck_tasks_progress": ("app.tasks", {"progress": 100.5}),
    "ck_tasks_duration_ms": ("app.tasks", {"duration_ms": -1}),
    "ck_tasks_finished_iff_terminal": ("app.tasks", {"finished_at": NOW}),
    "ck_tasks_completed_iff_result": ("app.tasks", {"status": "completed", "finished_at": NOW}),
    "ck_tasks_failed_has_error": ("app.tasks", {"status": "failed", "finished_at": NOW}),
    "ck_queue_stage": ("app.queue", {"stage": 0}),
    "ck_queue_task_index": ("app.queue", {"task_index": -2}),
    "ck_queue_attempt": ("app.queue", {"attempt": -1}),
    "ck_queue_failures": ("app.queue", {"failures": -1}),
    "ck_queue_max_failures": ("app.queue", {"max_failures": 0}),
    "ck_queue_dispatches": ("app.queue", {"dispatches": -1}),
    "ck_queue_losses": ("app.queue", {"losses": -1}),
    "ck_dead_letters_fingerprint": ("app.dead_letters", {"fingerprint": "x"}),
    "ck_dead_letters_stage": ("app.dead_letters", {"stage": 0}),
    "ck_dead_letters_resolved_iff_not_open": ("app.dead_letters", {"state": "redriven"}),
    "ck_dead_letters_discarded_has_reason": ("app.dead_letters", {"state": "discarded", "resolved_at": NOW}),
    "ck_dead_letters_task_is_named": ("app.dead_letters", {"task_index": None}),
    "ck_dead_letters_callback_is_named": ("app.dead_letters", {"kind": "callback"}),
    "ck_system_snapshots_process": ("app.system_snapshots", {"process": ""}),
    "ck_system_snapshots_config_hash": ("app.system_snapshots", {"config_hash": "x"}),
    "ck_janitor_runs_duration_ms": ("app.janitor_runs", {"duration_ms": -1}),
    "ck_janitor_runs_items_fixed": ("app.janitor_runs", {"items_fixed": -1}),
    "ck_job_events_stage": ("app.job_events", {"stage": -1}),
    "ck_job_events_attempt": ("app.job_events", {"attempt": -1}),
    "ck_job_events_duration_ms": ("app.job_events", {"duration_ms": -1}),
    "ck_outbox_attempts": ("app.outbox", {"attempts": -1}),
    "ck_outbox_max_attempts": ("app.outbox", {"max_attempts": 0}),
    "ck_outbox_exports_are_public": ("app.outbox", {"topic": "adf", "payload": Jsonb({"access_level": "ouo"})}),
    "ck_outbox_delivered_or_dead": ("app.outbox", {"delivered_at": NOW, "dead_at": NOW}),
    "ck_api_requests_request_id": ("app.api_requests", {"request_id": "ef" * 15}),
    "ck_api_requests_dataset_id": ("app.api_requests", {"dataset_id": ""}),
    "ck_api_requests_resource_id": ("app.api_requests", {"resource_id": ""}),
    "ck_api_requests_version_id": ("app.api_requests", {"version_id": ""}),
    "ck_api_requests_client_id": ("app.api_requests", {"client_id": ""}),
    "ck_api_requests_operation": ("app.api_requests", {"operation": "REPLACE"}),
    "ck_api_requests_job_id": ("app.api_requests", {"job_id": "7"}),
    "ck_api_requests_source_size": ("app.api_requests", {"source_size": -1}),
    "ck_api_requests_retry_count": ("app.api_requests", {"retry_count": -1}),
    "ck_dataset_readers_dataset_id": ("app.dataset_readers", {"dataset_id": ""}),
    "ck_dataset_readers_client_id": ("app.dataset_readers", {"client_id": ""}),
    "ck_api_keys_key_id": ("app.api_keys", {"key_id": "x"}),
    "ck_api_keys_client_id": ("app.api_keys", {"client_id": ""}),
    "ck_api_keys_name": ("app.api_keys", {"name": ""}),
    "ck_api_keys_digest": ("app.api_keys", {"digest": "secret"}),
    "ck_api_keys_roles_known": ("app.api_keys", {"roles": Jsonb(["owner"])}),
    "ck_api_keys_revoked_by_somebody": ("app.api_keys", {"revoked_at": NOW}),
    "ck_audit_log_actor": ("app.audit_log", {"actor": ""}),
    "ck_audit_log_client_id": ("app.audit_log", {"client_id": ""}),
    "ck_audit_log_action": ("app.audit_log", {"action": "cancel"}),
    "ck_audit_log_object_id": ("app.audit_log", {"object_id": ""}),
    "ck_submit_plans_plan_id": ("app.submit_plans", {"plan_id": "x"}),
    "ck_submit_plans_job_id": ("app.submit_plans", {"job_id": "x"}),
    "ck_submit_plans_expires_later": ("app.submit_plans", {"expires_at": EARLIER}),
    "ck_dataset_approvals_approval_id": ("app.dataset_approvals", {"approval_id": "ef" * 16}),
    "ck_dataset_approvals_job_id": ("app.dataset_approvals", {"job_id": "7"}),
    "ck_dataset_approvals_decided_by_reviewer": ("app.dataset_approvals", {**APPROVED, "reviewer": None}),
    "ck_dataset_approvals_rejected_has_reason": ("app.dataset_approvals", {**APPROVED, "status": "rejected"}),
    "ck_dataset_approvals_revoked_has_reason": (
        "app.dataset_approvals",
        {**APPROVED, "status": "revoked", "revoked_at": NOW, "revoked_by": "r@example.org"},
    ),
    "ck_dataset_approvals_revision": ("app.dataset_approvals", {"revision": 0}),
    "ck_dataset_approvals_item_count": ("app.dataset_approvals", {"item_count": 0}),
    "ck_dataset_approvals_superseded_by_another": (
        "app.dataset_approvals",
        {"status": "superseded"},
    ),
    "ck_dataset_approvals_only_public_leaves": ("app.dataset_approvals", {"adf_run_id": "1"}),
    "ck_approval_items_approval_id": ("app.approval_items", {"approval_id": "x"}),
    "ck_artifacts_artifact_id": ("app.artifacts", {"artifact_id": "x"}),
    "ck_artifacts_revision": ("app.artifacts", {"revision": 0}),
    "ck_artifacts_job_id": ("app.artifacts", {"job_id": "7"}),
    "ck_artifacts_source_size": ("app.artifacts", {"source_size": -1}),
    "ck_artifacts_superseded_has_date": ("app.artifacts", {"status": "superseded"}),
    "ck_artifacts_deleted_iff_deleted_at": ("app.artifacts", {"status": "deleted"}),
    "ck_artifacts_supersedes_another": ("app.artifacts", {"supersedes": "art-" + "ef" * 16}),
    "ck_held_effects_artifact_id": ("app.held_effects", {"artifact_id": "x"}),
    "ck_webhook_deliveries_event_id": ("app.webhook_deliveries", {"event_id": ""}),
    "ck_webhook_deliveries_duration_ms": ("app.webhook_deliveries", {"duration_ms": -1}),
    "ck_idempotency_keys_client_id": ("app.idempotency_keys", {"client_id": ""}),
    "ck_idempotency_keys_key": ("app.idempotency_keys", {"key": ""}),
    "ck_idempotency_keys_request_hash": ("app.idempotency_keys", {"request_hash": "x"}),
    "ck_idempotency_keys_answered_whole": ("app.idempotency_keys", {"status_code": 202}),
    "ck_approval_votes_approval_id": ("app.approval_votes", {"approval_id": "x"}),
    "ck_approval_votes_reviewer": ("app.approval_votes", {"reviewer": ""}),
    "ck_approval_history_approval_id": ("app.approval_history", {"approval_id": "x"}),
    "ck_approval_policies_scope": ("app.approval_policies", {"scope": "everything"}),
    "ck_approval_policies_required_approvals": ("app.approval_policies", {"required_approvals": 3}),
    "ck_approval_policies_max_extent_percent": ("app.approval_policies", {"max_extent_percent": 101}),
    "ck_approval_policies_max_count_percent": ("app.approval_policies", {"max_count_percent": -1}),
    "ck_cog_metadata_width": ("app.cog_metadata", {"width": 0}),
    "ck_cog_metadata_height": ("app.cog_metadata", {"height": 0}),
    "ck_cog_metadata_band_count": ("app.cog_metadata", {"band_count": 0}),
    "ck_cog_metadata_etl_job_id": ("app.cog_metadata", {"etl_job_id": "7"}),
    "ck_cog_metadata_size_bytes": ("app.cog_metadata", {"size_bytes": -1}),
    "ck_cog_metadata_bbox_ordered": ("app.cog_metadata", {**BBOX, "bbox_maxy": 0.5}),
    "ck_cog_metadata_bbox_whole": ("app.cog_metadata", {**BBOX, "bbox_maxy": None}),
    "ck_cog_metadata_temporal_ordered": ("app.cog_metadata", {"temporal_start": NOW, "temporal_end": EARLIER}),
    "ck_raster_render_configs_render_id": ("app.raster_render_configs", {"render_id": "Flood depth"}),
    "ck_raster_render_configs_not_reserved": ("app.raster_render_configs", {"render_id": "default"}),
    "ck_dataset_refs_etl_job_id": ("app.dataset_refs", {"etl_job_id": "7"}),
    "ck_dataset_refs_names_one_object": ("app.dataset_refs", {"cog_id": "parent"}),
    "ck_table_catalog_srid": ("geo.table_catalog", {"srid": -1}),
    "ck_table_catalog_feature_count": ("geo.table_catalog", {"feature_count": -1}),
    "ck_table_catalog_bbox_ordered": ("geo.table_catalog", {**BBOX, "bbox_maxx": 0.5}),
    "ck_table_catalog_bbox_whole": ("geo.table_catalog", {**BBOX, "bbox_minx": None}),
    "ck_table_catalog_temporal_ordered": ("geo.table_catalog", {"temporal_start": NOW, "temporal_end": EARLIER}),
    "ck_table_catalog_published_has_date": ("geo.table_catalog", {"published": True}),
    "ck_table_catalog_access_level_known": ("geo.table_catalog", {"access_level": "secret"}),
    "ck_vector_loads_part": ("app.vector_loads", {"part": -1}),
    "ck_feature_collection_styles_style_id": ("geo.feature_collection_styles", {"style_id": "A style"}),
    "ck_vector_etl_tracking_etl_job_id": ("app.vector_etl_tracking", {"etl_job_id": "7"}),
    "ck_vector_etl_tracking_source_size_bytes": ("app.vector_etl_tracking", {"source_size_bytes": -1}),
    "ck_vector_etl_tracking_processing_duration_ms": ("app.vector_etl_tracking", {"processing_duration_ms": -1}),
    "ck_vector_etl_tracking_rows_read": ("app.vector_etl_tracking", {"rows_read": -1}),
    "ck_vector_etl_tracking_rows_written": ("app.vector_etl_tracking", {"rows_written": -1}),
    "ck_vector_etl_tracking_rows_skipped": ("app.vector_etl_tracking", {"rows_skipped": -1}),
    "ck_vector_etl_tracking_geometry_repairs": ("app.vector_etl_tracking", {"geometry_repairs": -1}),
    "ck_vector_etl_tracking_failed_has_error": ("app.vector_etl_tracking", {"status": "failed"}),
}


@pytest.fixture
def conn(db: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(db) as opened:
        insert_parents(opened)
        yield opened
        opened.rollback()


def test_a_spoiled_row_is_known_for_every_declared_check() -> None:
    declared = {
        str(constraint.name)
        for table in build_metadata().tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    assert declared == set(SPOILED)


def test_every_sample_row_is_valid_before_it_is_spoiled(conn: psycopg.Connection) -> None:
    for table, row in ROWS.items():
        assert insert(conn, table, row) == 1


def test_every_check_refuses_the_row_that_breaks_it(conn: psycopg.Connection) -> None:
    for name, (table, spoiled) in SPOILED.items():
        with pytest.raises(psycopg.errors.CheckViolation) as refused, conn.transaction():
            insert(conn, table, {**ROWS[table], **spoiled})
        assert refused.value.diag.constraint_name == name


def test_a_decided_approval_with_all_its_facts_is_accepted(conn: psycopg.Connection) -> None:
    for number, facts in enumerate(
        (
            APPROVED,
            {**APPROVED, "status": "rejected", "rejection_reason": "blurred"},
            {**APPROVED, "status": "revoked", "revoked_at": NOW, "revoked_by": "r", "revocation_reason": "wrong"},
        )
    ):
        row = {
            **ROWS["app.dataset_approvals"],
            **facts,
            "approval_id": f"apr-{number:032x}",
            "subject": str(number),
            "stac_item_id": str(number),
        }
        assert insert(conn, "app.dataset_approvals", row) == 1


@pytest.mark.parametrize(
    ("table", "again"),
    [
        ("app.jobs", {"run": 2}),  # a second run while the first is not superseded
        ("app.tasks", {"task_key": "1"}),
        ("app.dead_letters", {}),
        ("app.queue", {}),
        ("app.outbox", {}),
        ("app.api_requests", {"request_id": "0" * 32}),
        ("app.submit_plans", {}),
        ("app.dataset_approvals", {"approval_id": "apr-" + "0" * 32, "subject": "other"}),
        ("app.dataset_approvals", {"approval_id": "apr-" + "0" * 32, "stac_item_id": "other"}),
        ("app.approval_items", {}),
        ("app.approval_votes", {}),
        ("app.artifacts", {"artifact_id": "art-" + "0" * 32, "status": "draft"}),  # the same revision
        ("app.artifacts", {"artifact_id": "art-" + "0" * 32, "revision": 2}),  # another one in place
        ("app.approval_policies", {}),
        ("app.curated_datasets", {"target_table_name": "curated_other"}),
        ("app.curated_datasets", {"dataset_id": "other"}),
        ("app.dataset_readers", {}),
        ("app.cog_metadata", {"cog_id": "other"}),
        ("app.raster_render_configs", {}),
        ("app.dataset_refs", {}),
        ("app.vector_etl_tracking", {}),
        ("app.vector_loads", {}),
        ("geo.table_catalog", {}),
        ("geo.table_catalog", {"table_name": "other"}),  # the same item
        ("geo.feature_collection_styles", {}),
    ],
)
def test_what_must_be_there_once_cannot_be_there_twice(
    conn: psycopg.Connection, table: str, again: Mapping[str, object]
) -> None:
    insert(conn, table, ROWS[table])
    with pytest.raises(psycopg.errors.UniqueViolation):
        insert(conn, table, {**ROWS[table], **again})


def test_a_new_run_may_follow_a_superseded_one(conn: psycopg.Connection) -> None:
    finished = {"status": "failed", "error_code": "X", "finished_at": NOW, "superseded_at": NOW}
    insert(conn, "app.jobs", {**ROWS["app.jobs"], **finished})
    assert insert(conn, "app.jobs", {**ROWS["app.jobs"], "run": 2}) == 1


@pytest.mark.parametrize(
    ("state", "index"), [("open", "ux_approval_items_open"), ("published", "ux_approval_items_published")]
)
def test_only_one_approval_decides_on_an_item_and_only_one_publishes_it(
    conn: psycopg.Connection, state: str, index: str
) -> None:
    insert(conn, "app.dataset_approvals", ROWS["app.dataset_approvals"])
    insert(conn, "app.approval_items", {**ROWS["app.approval_items"], "state": state})
    other = {**ROWS["app.approval_items"], "approval_id": ROWS["app.dataset_approvals"]["approval_id"]}
    with pytest.raises(psycopg.errors.UniqueViolation) as refused, conn.transaction():
        insert(conn, "app.approval_items", {**other, "state": state})
    assert refused.value.diag.constraint_name == index
    assert insert(conn, "app.approval_items", {**other, "state": "taken_over"}) == 1


@pytest.mark.parametrize(
    ("table", "orphan"),
    [
        ("app.stages", {"job_key": 99}),
        ("app.tasks", {"stage": 2}),
        ("app.job_events", {"job_key": 99}),
        ("app.dead_letters", {"job_key": 99}),
        ("app.dataset_approvals", {"job_key": 99}),
        ("app.approval_items", {"approval_id": "apr-" + "0" * 32}),
        ("app.approval_votes", {"approval_id": "apr-" + "0" * 32}),
        ("app.artifacts", {"approval_id": "apr-" + "0" * 32}),
        ("app.held_effects", {"artifact_id": "art-" + "0" * 32}),
        ("app.vector_etl_tracking", {"table_name": "absent"}),
        ("app.raster_render_configs", {"cog_id": "absent"}),
        ("app.dataset_refs", {"table_name": "absent"}),
    ],
)
def test_a_row_cannot_refer_to_what_is_not_there(
    conn: psycopg.Connection, table: str, orphan: Mapping[str, object]
) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        insert(conn, table, {**ROWS[table], **orphan})


def test_deleting_a_job_deletes_its_stages_tasks_and_events(conn: psycopg.Connection) -> None:
    insert(conn, "app.tasks", ROWS["app.tasks"])
    insert(conn, "app.job_events", ROWS["app.job_events"])
    conn.execute("DELETE FROM app.jobs")
    for left in ("SELECT FROM app.stages", "SELECT FROM app.tasks", "SELECT FROM app.job_events"):
        assert conn.execute(left).rowcount == 0


def test_an_approval_outlives_the_job_it_was_made_on(conn: psycopg.Connection) -> None:
    insert(conn, "app.dataset_approvals", ROWS["app.dataset_approvals"])
    conn.execute("DELETE FROM app.jobs WHERE job_key = 1")
    assert conn.execute("SELECT DISTINCT job_key FROM app.dataset_approvals").fetchall() == [(None,)]


def test_only_one_render_of_a_cog_is_its_default(conn: psycopg.Connection) -> None:
    row = {**ROWS["app.raster_render_configs"], "is_default": True}
    insert(conn, "app.raster_render_configs", row)
    with pytest.raises(psycopg.errors.UniqueViolation) as refused, conn.transaction():
        insert(conn, "app.raster_render_configs", {**row, "render_id": "other"})
    assert refused.value.diag.constraint_name == "ux_raster_render_configs_default"
    assert insert(conn, "app.raster_render_configs", {**row, "render_id": "other", "is_default": False}) == 1


def test_renders_and_references_go_with_the_cog(conn: psycopg.Connection) -> None:
    insert(conn, "app.raster_render_configs", ROWS["app.raster_render_configs"])
    insert(conn, "app.dataset_refs", {**ROWS["app.dataset_refs"], "table_name": None, "cog_id": "parent"})
    conn.execute("DELETE FROM app.cog_metadata WHERE cog_id = 'parent'")
    for left in ("SELECT FROM app.raster_render_configs", "SELECT FROM app.dataset_refs"):
        assert conn.execute(left).rowcount == 0


def test_dropping_a_catalogue_row_drops_the_history_of_its_runs(conn: psycopg.Connection) -> None:
    insert(conn, "app.vector_etl_tracking", ROWS["app.vector_etl_tracking"])
    conn.execute("DELETE FROM geo.table_catalog")
    assert conn.execute("SELECT count(*) FROM app.vector_etl_tracking").fetchone() == (0,)


def test_columns_fill_themselves_as_the_models_say(conn: psycopg.Connection) -> None:
    insert(conn, "app.api_requests", ROWS["app.api_requests"])
    row = conn.execute(
        "SELECT client_id, operation, access_level::text, retry_count, created_at IS NOT NULL FROM app.api_requests"
    ).fetchone()
    assert row == ("ddh", "CREATE", "ouo", 0, True)
    insert(conn, "app.tasks", ROWS["app.tasks"])
    row = conn.execute("SELECT status::text, attempt, error_history, checkpoint_data FROM app.tasks").fetchone()
    assert row == ("pending", 0, [], {})


def test_a_source_larger_than_two_gigabytes_fits(conn: psycopg.Connection) -> None:
    size = 30 * 2**30
    insert(conn, "app.api_requests", {**ROWS["app.api_requests"], "source_size": size})
    insert(conn, "app.cog_metadata", {**ROWS["app.cog_metadata"], "size_bytes": size, "statistics": Jsonb([])})
    insert(conn, "app.vector_etl_tracking", {**ROWS["app.vector_etl_tracking"], "source_size_bytes": size})
    stored = conn.execute(
        "SELECT source_size FROM app.api_requests UNION ALL SELECT size_bytes FROM app.cog_metadata"
        " WHERE size_bytes IS NOT NULL"
        " UNION ALL SELECT source_size_bytes FROM app.vector_etl_tracking"
    ).fetchall()
    assert stored == [(size,)] * 3
