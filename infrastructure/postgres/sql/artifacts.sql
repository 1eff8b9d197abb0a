-- name: standing
-- How each item stands: what is in the catalogue, whether the public sees it, and what this run of a job has made of it already.
SELECT n.collection_id, n.item_id, c.artifact_id, m.artifact_id, m.status::text, coalesce((
    SELECT i.content -> 'properties' -> 'app:published' = 'true'::jsonb FROM pgstac.items i
    WHERE i.collection = n.collection_id AND i.id = n.item_id), false)
FROM jsonb_to_recordset(%(items)s::jsonb) AS n (collection_id text, item_id text)
LEFT JOIN app.artifacts c
    ON c.stac_collection_id = n.collection_id AND c.stac_item_id = n.item_id AND c.status = 'current'
LEFT JOIN app.artifacts m
    ON m.stac_collection_id = n.collection_id AND m.stac_item_id = n.item_id AND m.job_key = %(job_key)s
    AND m.status IN ('draft', 'current') AND m.approval_id IS NULL

-- name: supersede
-- A revision gives its place to another and is kept for a time.
UPDATE app.artifacts SET status = 'superseded', superseded_by = %(by)s, superseded_at = clock_timestamp()
WHERE artifact_id = %(artifact_id)s AND status IN ('draft', 'current')

-- name: create
-- The next revision of an item, made by a run of a job from the source of its request.
INSERT INTO app.artifacts (
    artifact_id, stac_collection_id, stac_item_id, revision, status, job_id, job_key, dataset_id, resource_id, version_id, request_id,
    source_container, source_path, source_etag, source_size, files, tables, supersedes)
SELECT %(artifact_id)s, %(collection_id)s, %(item_id)s, 1 + coalesce((
        SELECT max(a.revision) FROM app.artifacts a
        WHERE a.stac_collection_id = %(collection_id)s AND a.stac_item_id = %(item_id)s), 0),
    %(status)s::app.artifact_status, j.job_id, j.job_key, j.parameters ->> 'dataset_id', j.parameters ->> 'resource_id',
    j.parameters ->> 'version_id', j.parameters ->> 'request_id', r.source_container, r.source_path, r.source_etag, r.source_size,
    %(files)s::jsonb, %(tables)s::jsonb, %(supersedes)s
FROM app.jobs j
LEFT JOIN LATERAL (SELECT * FROM app.api_requests r WHERE r.job_id = j.job_id ORDER BY r.updated_at DESC LIMIT 1) r ON true
WHERE j.job_key = %(job_key)s

-- name: extend
-- The same run has made more of the same item.
UPDATE app.artifacts SET files = (SELECT jsonb_agg(DISTINCT f) FROM jsonb_array_elements(files || %(files)s::jsonb) f),
    tables = (SELECT coalesce(jsonb_agg(DISTINCT t), '[]') FROM jsonb_array_elements(tables || %(tables)s::jsonb) t)
WHERE artifact_id = %(artifact_id)s

-- name: hold
-- Keep an effect.
INSERT INTO app.held_effects (artifact_id, kind, payload) VALUES (%(artifact_id)s, %(kind)s, %(payload)s::jsonb)

-- name: held
-- The kept effects of some artifacts, in order.
SELECT kind, payload::text FROM app.held_effects WHERE artifact_id = ANY (%(artifact_ids)s) ORDER BY held_id

-- name: count_held
-- How many there are.
SELECT count(*) FROM app.held_effects WHERE artifact_id = %(artifact_id)s

-- name: forget
-- They are done with.
DELETE FROM app.held_effects WHERE artifact_id = ANY (%(artifact_ids)s)

-- name: drafts
-- What a review would put in place: its drafts, and what each would replace.
SELECT d.artifact_id, d.stac_collection_id, d.stac_item_id, c.artifact_id
FROM app.artifacts d
JOIN app.approval_items i ON i.approval_id = d.approval_id AND i.stac_collection_id = d.stac_collection_id
    AND i.stac_item_id = d.stac_item_id AND i.state = 'open'
LEFT JOIN app.artifacts c
    ON c.stac_collection_id = d.stac_collection_id AND c.stac_item_id = d.stac_item_id AND c.status = 'current'
WHERE d.approval_id = %(approval_id)s AND d.status = 'draft' ORDER BY d.stac_collection_id, d.stac_item_id

-- name: made_again
-- Items of a review whose place in the catalogue another run has taken since, or whose draft is gone.
SELECT i.stac_collection_id, i.stac_item_id FROM app.approval_items i
WHERE i.approval_id = %(approval_id)s AND i.state = 'open'
    AND EXISTS (SELECT FROM app.artifacts a WHERE a.approval_id = i.approval_id AND a.stac_collection_id = i.stac_collection_id
        AND a.stac_item_id = i.stac_item_id)
    AND NOT EXISTS (SELECT FROM app.artifacts a WHERE a.approval_id = i.approval_id AND a.stac_collection_id = i.stac_collection_id
        AND a.stac_item_id = i.stac_item_id AND a.status IN ('draft', 'current'))
ORDER BY 1, 2

-- name: put_in_place
-- A draft is in the catalogue now.
UPDATE app.artifacts SET status = 'current', supersedes = %(supersedes)s WHERE artifact_id = %(artifact_id)s AND status = 'draft'

-- name: cog
-- The row of a COG.
SELECT * FROM app.cog_metadata WHERE cog_id = %(cog_id)s

-- name: table
-- A live table's catalogue row, the run that filled it, and whether other views than its tile view build on it.
SELECT to_jsonb(c) AS catalog, (
        SELECT to_jsonb(v) FROM app.vector_etl_tracking v WHERE v.table_name = c.table_name AND v.status = 'completed'
        ORDER BY v.processing_completed_at DESC NULLS LAST LIMIT 1) AS tracking,
    EXISTS (
        SELECT FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
        WHERE d.refobjid = k.oid AND d.classid = 'pg_rewrite'::regclass AND v.relname IS DISTINCT FROM c.tile_view) AS built_upon
FROM geo.table_catalog c
JOIN pg_class k ON k.relname = c.table_name AND k.relkind = 'r'
    AND k.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = %(schema)s)
WHERE c.schema_name = %(schema)s AND c.table_name = %(table)s

-- name: of_item
-- Every revision of an item, newest first.
SELECT * FROM app.artifacts WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s ORDER BY revision DESC

-- name: of_request
-- Every revision of what a request made, newest first.
SELECT * FROM app.artifacts WHERE request_id = %(request_id)s ORDER BY created_at DESC, revision DESC LIMIT 500

-- name: lock
-- One artifact, held until the transaction ends.
SELECT * FROM app.artifacts WHERE artifact_id = %(artifact_id)s FOR UPDATE

-- name: get
-- One artifact.
SELECT * FROM app.artifacts WHERE artifact_id = %(artifact_id)s

-- name: restore
-- A kept revision becomes a draft again, as the newest one.
INSERT INTO app.artifacts (
    artifact_id, stac_collection_id, stac_item_id, revision, status, job_id, dataset_id, resource_id, version_id, request_id,
    source_container, source_path, source_etag, source_size, files, tables, supersedes)
SELECT %(restored)s, a.stac_collection_id, a.stac_item_id, (SELECT 1 + max(o.revision) FROM app.artifacts o
        WHERE o.stac_collection_id = a.stac_collection_id AND o.stac_item_id = a.stac_item_id),
    'draft', a.job_id, a.dataset_id, a.resource_id, a.version_id, a.request_id, a.source_container, a.source_path, a.source_etag,
    a.source_size, a.files, a.tables, a.artifact_id
FROM app.artifacts a WHERE a.artifact_id = %(artifact_id)s RETURNING *

-- name: move_held
-- The restored revision is put in place by what was kept of the old one.
UPDATE app.held_effects SET artifact_id = %(restored)s WHERE artifact_id = %(artifact_id)s

-- name: ask_for_restored
-- A person decides about the restored revision as about any other.
SELECT app.request_restoration(%(restored)s, %(by)s, %(client_id)s)

-- name: without_files
-- Deleted revisions that have none to delete.
SELECT artifact_id FROM app.artifacts WHERE status = 'deleted' AND files_deleted_at IS NULL AND files = '[]' LIMIT 100

-- name: expired
-- Replaced revisions that were kept long enough, and drafts refused that long ago, oldest first.
SELECT a.artifact_id FROM app.artifacts a LEFT JOIN app.dataset_approvals r ON r.approval_id = a.approval_id
WHERE (a.status = 'superseded' AND a.superseded_at < clock_timestamp() - %(days)s * interval '1 day')
    OR (a.status = 'draft' AND r.status IN ('rejected', 'revoked') AND r.updated_at < clock_timestamp() - %(days)s * interval '1 day')
ORDER BY a.superseded_at NULLS LAST LIMIT %(limit)s

-- name: delete
-- The revision can no longer be brought back.
UPDATE app.artifacts SET status = 'deleted', deleted_at = clock_timestamp() WHERE artifact_id = %(artifact_id)s

-- name: files_to_delete
-- Files of deleted revisions that no other revision and no item has.
SELECT a.artifact_id, f.href,
    EXISTS (SELECT FROM app.artifacts o WHERE o.status <> 'deleted' AND o.files ? f.href) AS used
FROM app.artifacts a, jsonb_array_elements_text(a.files) AS f (href)
WHERE a.status = 'deleted' AND a.files_deleted_at IS NULL AND a.artifact_id = ANY (
    SELECT o.artifact_id FROM app.artifacts o WHERE o.status = 'deleted' AND o.files_deleted_at IS NULL LIMIT %(limit)s)

-- name: files_deleted
-- Nothing is left in storage.
UPDATE app.artifacts SET files_deleted_at = clock_timestamp() WHERE artifact_id = ANY (%(artifacts)s)
