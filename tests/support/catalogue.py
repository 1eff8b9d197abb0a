"""All that the catalogue consists of, as it can be compared: without the times of writing."""

from __future__ import annotations

from tests.support.api import Api

_PARTS = {
    "items": "SELECT collection || '/' || id, pgstac.get_item(id, collection) FROM pgstac.items",
    "collections": "SELECT id, content FROM pgstac.collections",
    "cogs": "SELECT cog_id, to_jsonb(c) - 'updated_at' FROM app.cog_metadata c",
    "tables": "SELECT table_name, to_jsonb(t) - 'updated_at' FROM geo.table_catalog t",
    "runs": "SELECT table_name || etl_job_id, to_jsonb(v) FROM app.vector_etl_tracking v",
    "references": "SELECT coalesce(cog_id, table_name), to_jsonb(r) - '{created_at,updated_at}'::text[]"
    " FROM app.dataset_refs r",
    "columns": "SELECT attrelid::regclass || '.' || attname, to_jsonb(format_type(atttypid, atttypmod))"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid"
    " WHERE relnamespace = 'geo'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped",
    "indexes": "SELECT indexname, to_jsonb(indexdef) FROM pg_indexes WHERE schemaname = 'geo'",
    "revisions": "SELECT artifact_id, to_jsonb(a) FROM app.artifacts a",
    "reviews": "SELECT approval_id, to_jsonb(a) FROM app.dataset_approvals a",
    "reviewed": "SELECT approval_id || stac_item_id, to_jsonb(i) FROM app.approval_items i",
}


def catalogue(api: Api) -> dict[str, dict[str, object]]:
    """Every row and document by part and name."""
    return {part: dict(api.query(query)) for part, query in _PARTS.items()}
