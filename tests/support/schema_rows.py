"""One valid row for every table, to be spoiled one column at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

JOB_ID = "ab" * 32
OTHER_JOB_ID = "cd" * 32

#: Rows that other rows refer to; job 1 with stage 1, the catalogue row `roads` and a review.
PARENTS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("app.jobs", {"job_id": JOB_ID, "job_type": "hello_world", "parameters": Jsonb({})}),
    (
        "app.stages",
        {
            "job_key": 1,
            "stage": 1,
            "name": "a",
            "task_type": "t",
            "queue": "q",
            "heavy": False,
            "max_failures": 4,
            "expected": 3,
            "remaining": 3,
        },
    ),
    ("geo.table_catalog", {"table_name": "roads"}),
    (
        "app.external_services",
        {
            "service_id": "ab" * 16,
            "url": "https://example.com/wms",
            "probe_url": "https://example.com/wms",
            "name": "parent",
            "created_by": "ddh",
        },
    ),
    (
        "app.curated_datasets",
        {
            "dataset_id": "parent",
            "name": "Parent",
            "source_type": "url",
            "source_url": "https://example.com/a.geojson",
            "target_table_name": "curated_parent",
            "created_by": "ada",
        },
    ),
    (
        "app.dataset_approvals",
        {
            "approval_id": "apr-" + "ab" * 16,
            "job_id": JOB_ID,
            "job_key": 1,
            "job_type": "hello_world",
            "subject": "parent",
            "revision": 1,
            "stac_item_id": "parent",
            "stac_collection_id": "d",
        },
    ),
    (
        "app.artifacts",
        {
            "artifact_id": "art-" + "ab" * 16,
            "stac_collection_id": "d",
            "stac_item_id": "parent",
            "revision": 1,
            "status": "draft",
            "files": Jsonb([]),
            "tables": Jsonb([]),
        },
    ),
    (
        "app.cog_metadata",
        {
            "cog_id": "parent",
            "container": "silver-cogs",
            "blob_path": "parent.tif",
            "cog_url": "/vsiaz/silver-cogs/parent.tif",
            "width": 1,
            "height": 1,
            "band_count": 1,
            "dtype": "uint8",
            "stac_collection_id": "d",
            "stac_item_id": "parent",
            "access_level": "public",
        },
    ),
)

ROWS: Mapping[str, Mapping[str, object]] = {
    "app.jobs": {"job_id": OTHER_JOB_ID, "job_type": "hello_world", "parameters": Jsonb({})},
    "app.stages": {
        "job_key": 1,
        "stage": 2,
        "name": "b",
        "task_type": "t",
        "queue": "q",
        "heavy": False,
        "max_failures": 4,
        "expected": 2,
        "remaining": 2,
    },
    "app.tasks": {
        "job_key": 1,
        "stage": 1,
        "task_index": 0,
        "task_key": "0",
        "task_type": "t",
        "parameters": Jsonb({}),
    },
    "app.queue": {
        "queue": "vector-tasks",
        "job_key": 1,
        "stage": 1,
        "task_index": 0,
        "heavy": False,
        "max_failures": 4,
    },
    "app.job_events": {"job_key": 1, "event_type": "job_created", "event_status": "info"},
    "app.outbox": {"topic": "callback", "dedup_key": "1", "payload": Jsonb({})},
    "app.dead_letters": {
        "kind": "task",
        "cause": "permanent",
        "fingerprint": "ef" * 16,
        "error_code": "X",
        "error_message": "x",
        "job_key": 1,
        "stage": 1,
        "task_index": 0,
        "payload": Jsonb({}),
    },
    "app.system_snapshots": {
        "process": "geomachine/standalone",
        "trigger_type": "manual",
        "config_hash": "0" * 64,
        "snapshot": "{}",
    },
    "app.janitor_runs": {"run_type": "leases", "items_fixed": 1},
    "app.api_requests": {
        "request_id": "ef" * 16,
        "dataset_id": "d",
        "resource_id": "r",
        "version_id": "v1",
        "data_type": "raster",
        "job_id": JOB_ID,
        "source_container": "bronze-rasters",
        "source_path": "a.tif",
        "request": Jsonb({}),
    },
    "app.submit_plans": {
        "plan_id": "pln-" + "ab" * 16,
        "request": Jsonb({}),
        "job_id": JOB_ID,
        "sources": Jsonb([]),
        "submitted_by": "ddh",
        "expires_at": datetime(2999, 1, 1, tzinfo=UTC),
    },
    "app.dataset_approvals": {
        "approval_id": "apr-" + "ef" * 16,
        "job_id": JOB_ID,
        "job_key": 1,
        "job_type": "process_raster_v2",
        "subject": "d|r|v1",
        "revision": 1,
        "stac_item_id": "d-r-v1",
        "stac_collection_id": "d",
    },
    "app.artifacts": {
        "artifact_id": "art-" + "ef" * 16,
        "stac_collection_id": "d",
        "stac_item_id": "d-r-v1",
        "revision": 1,
        "status": "current",
        "files": Jsonb([]),
        "tables": Jsonb([]),
    },
    "app.held_effects": {"artifact_id": "art-" + "ab" * 16, "kind": "UpsertStacItem", "payload": Jsonb({})},
    "app.webhook_deliveries": {
        "event_id": "job.completed:1:r",
        "event_type": "job.completed",
        "request_id": "r",
        "client_id": "ddh",
        "url": "https://example.org/hook",
    },
    "app.idempotency_keys": {"client_id": "ddh", "key": "k", "request_hash": "ab" * 32},
    "app.approval_votes": {"approval_id": "apr-" + "ab" * 16, "reviewer": "rita"},
    "app.approval_history": {"approval_id": "apr-" + "ab" * 16, "to_status": "pending"},
    "app.approval_policies": {"scope": "dataset:d", "updated_by": "ada"},
    "app.external_services": {
        "service_id": "ef" * 16,
        "url": "https://example.com/wfs",
        "probe_url": "https://example.com/wfs",
        "name": "n",
        "created_by": "ddh",
    },
    "app.curated_datasets": {
        "dataset_id": "admin0",
        "name": "Countries",
        "source_type": "url",
        "source_url": "https://example.com/countries.geojson",
        "target_table_name": "curated_admin0",
        "created_by": "ada",
    },
    "app.curated_update_log": {"dataset_id": "parent", "update_type": "manual"},
    "app.consistency_findings": {
        "kind": "missing_blob",
        "object": "blob:silver-cogs/a.tif",
        "severity": "error",
        "cause": "It is not in storage.",
        "proposed_repair": "Submit the source again.",
        "automatic": False,
        "run_id": 1,
    },
    "app.consistency_runs": {"scope": "full", "started_at": datetime(2026, 1, 1, tzinfo=UTC)},
    "app.repairs": {
        "kind": "missing_ref",
        "object": "table:roads",
        "target": Jsonb({}),
        "by": "ada",
        "before": Jsonb({}),
        "after": Jsonb({}),
    },
    "app.table_measures": {
        "table_name": "roads",
        "filenode": 1,
        "changes": 0,
        "catalog_updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "row_count": 0,
        "srids": Jsonb([]),
        "geometry_types": Jsonb([]),
    },
    "app.external_service_checks": {"service_id": "ab" * 16, "healthy": True, "status": "active"},
    "app.dataset_readers": {"dataset_id": "d", "client_id": "acme", "added_by": "rita"},
    "app.api_keys": {
        "key_id": "ab" * 6,
        "client_id": "ddh",
        "name": "ddh",
        "roles": Jsonb(["partner"]),
        "digest": "cd" * 32,
        "created_by": "ada",
    },
    "app.audit_log": {
        "actor": "ada",
        "client_id": "ada",
        "credential": "local",
        "action": "job.cancel",
        "object_type": "job",
        "object_id": JOB_ID,
        "details": Jsonb({}),
    },
    "app.approval_items": {
        "approval_id": "apr-" + "ab" * 16,
        "stac_collection_id": "d",
        "stac_item_id": "d-r-v1",
    },
    "app.cog_metadata": {
        "cog_id": "d-r-v1",
        "container": "silver-cogs",
        "blob_path": "d/r/v1/a.tif",
        "cog_url": "/vsiaz/silver-cogs/d/r/v1/a.tif",
        "width": 10,
        "height": 10,
        "band_count": 1,
        "dtype": "uint8",
        "stac_collection_id": "d",
        "stac_item_id": "d-r-v1",
        "access_level": "public",
    },
    "app.raster_render_configs": {"cog_id": "parent", "render_id": "flood", "render_spec": Jsonb({"bidx": [1]})},
    "app.dataset_refs": {
        "stac_collection_id": "d",
        "stac_item_id": "d-r-v1",
        "dataset_id": "d",
        "data_type": "vector",
        "table_name": "roads",
    },
    "app.vector_etl_tracking": {"table_name": "roads", "etl_job_id": JOB_ID},
    "app.vector_loads": {"staging": "roads__stg_abababab_1", "part": 0, "output": Jsonb({})},
    "geo.table_catalog": {"table_name": "rivers", "stac_collection_id": "water", "stac_item_id": "rivers"},
    "geo.feature_collection_styles": {"collection_id": "roads", "style_id": "default", "style_spec": Jsonb({})},
}


def insert(conn: psycopg.Connection, table: str, row: Mapping[str, object]) -> int:
    """Insert one row; how many rows that made."""
    inserted = conn.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(*table.split(".")),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )
    return inserted.rowcount


def insert_parents(conn: psycopg.Connection) -> None:
    """Insert the rows others refer to."""
    for table, row in PARENTS:
        insert(conn, table, row)
