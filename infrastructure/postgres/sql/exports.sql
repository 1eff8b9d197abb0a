-- name: get
-- An approval, and the files and tables that it publishes.
SELECT a.approval_id, a.classification::text, a.status::text, coalesce(a.reviewed_at, a.created_at) AS asked_at, a.adf_run_id,
    ARRAY(SELECT DISTINCT f FROM app.artifacts r, jsonb_array_elements_text(r.files) f
        WHERE r.approval_id = a.approval_id AND r.status = 'current' ORDER BY f) AS files,
    ARRAY(SELECT DISTINCT t FROM app.artifacts r, jsonb_array_elements_text(r.tables) t
        WHERE r.approval_id = a.approval_id AND r.status = 'current' ORDER BY t) AS tables,
    jsonb_build_object('dataset_id', a.dataset_id, 'resource_id', a.resource_id, 'version_id', a.version_id, 'request_id', a.request_id,
        'job_id', a.job_id, 'stac_collection_id', a.stac_collection_id, 'stac_item_id', a.stac_item_id, 'revision', a.revision) AS parameters
FROM app.dataset_approvals a WHERE a.approval_id = %(approval_id)s

-- name: promise
-- Public data leaves once, when it is approved.
INSERT INTO app.outbox (topic, dedup_key, payload)
SELECT 'adf', a.approval_id, jsonb_build_object('approval_id', a.approval_id, 'access_level', a.classification, 'job_key', a.job_key)
FROM app.dataset_approvals a WHERE a.approval_id = %(approval_id)s AND a.classification = 'public' AND a.status = 'approved'
ON CONFLICT (topic, dedup_key) DO NOTHING

-- name: started
-- A run was started for an approval that had none.
UPDATE app.dataset_approvals SET adf_run_id = %(run_id)s, adf_status = 'Queued', updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND adf_run_id IS NULL

-- name: unfinished
-- Runs that are not known to have ended, and whether nothing was heard of them for a day. In no order, so that each has its turn.
SELECT approval_id, adf_run_id, updated_at < clock_timestamp() - interval '1 day' FROM app.dataset_approvals
WHERE adf_run_id IS NOT NULL AND adf_finished_at IS NULL ORDER BY random() LIMIT %(limit)s

-- name: ended
-- How a run is, or ended; with an event in the job's history once it has.
WITH told AS (
    UPDATE app.dataset_approvals SET adf_status = %(status)s, adf_error = CASE WHEN %(status)s = 'Failed' THEN left(%(message)s, 2000) END,
        adf_finished_at = CASE WHEN %(ended)s THEN clock_timestamp() END, updated_at = clock_timestamp()
    WHERE approval_id = %(approval_id)s AND adf_run_id = %(run_id)s AND adf_finished_at IS NULL AND (%(ended)s OR adf_status <> %(status)s)
    RETURNING job_key, approval_id, adf_status, adf_error
)
INSERT INTO app.job_events (job_key, event_type, event_status, checkpoint_name, error_message, event_data)
SELECT t.job_key, 'status_update', CASE t.adf_status WHEN 'Succeeded' THEN 'success' ELSE 'failure' END::app.job_event_status, 'export_ended',
    t.adf_error, jsonb_build_object('approval_id', t.approval_id, 'adf_run_id', %(run_id)s::text, 'status', t.adf_status)
FROM told t WHERE %(ended)s AND t.job_key IS NOT NULL
