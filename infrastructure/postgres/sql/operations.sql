-- name: cancel_job
-- Stop a job; false when it has ended already.
SELECT app.cancel_job(%(job_key)s, %(by)s, %(reason)s)

-- name: cancel_task
-- Stop one open task; false when it is not open.
SELECT app.cancel_task(%(job_key)s, %(stage)s, %(task_index)s, %(by)s, %(reason)s)

-- name: task_status
-- The state of one task.
SELECT status FROM app.tasks WHERE job_key = %(job_key)s AND stage = %(stage)s AND task_index = %(task_index)s

-- name: retry_job
-- Run again what did not succeed, as a new run; no row when there is nothing to retry.
SELECT job_key, run, stage, reopened FROM app.retry_job(%(job_key)s, %(by)s)

-- name: tell
-- Add what a person did to a job's history.
INSERT INTO app.job_events (job_key, event_type, event_status, checkpoint_name, event_data)
VALUES (%(job_key)s, 'status_update', 'info', %(name)s, %(data)s::jsonb)

-- name: runs
-- Every run of a piece of work. Their rows are not locked: a worker that starts one holds its queue row and waits for it.
SELECT job_key, status FROM app.jobs WHERE job_id = %(job_id)s ORDER BY job_key

-- name: lock_job
-- Let no failure, completion of the last task or retry come between.
SELECT app.lock_job(%(job_key)s)

-- name: made_items
-- The STAC items that a job's catalogue rows describe.
SELECT stac_collection_id, stac_item_id FROM app.cog_metadata
WHERE etl_job_id = %(job_id)s AND stac_collection_id IS NOT NULL AND stac_item_id IS NOT NULL
UNION
SELECT c.stac_collection_id, c.stac_item_id
FROM app.vector_etl_tracking v JOIN geo.table_catalog c ON c.table_name = v.table_name
WHERE v.etl_job_id = %(job_id)s AND v.status = 'completed' AND c.stac_collection_id IS NOT NULL AND c.stac_item_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM app.vector_etl_tracking o
                    WHERE o.table_name = v.table_name AND o.status = 'completed' AND o.etl_job_id <> v.etl_job_id)
ORDER BY 1, 2

-- name: made_tables
-- The feature tables all of whose rows a job loaded; what several jobs appended to belongs to none of them.
SELECT v.table_name, c.published FROM app.vector_etl_tracking v JOIN geo.table_catalog c ON c.table_name = v.table_name
WHERE v.etl_job_id = %(job_id)s AND v.status = 'completed'
    AND NOT EXISTS (SELECT FROM app.vector_etl_tracking o
                    WHERE o.table_name = v.table_name AND o.status = 'completed' AND o.etl_job_id <> v.etl_job_id)
ORDER BY 1

-- name: made_blobs
-- The files that a job's catalogue rows describe.
SELECT container, blob_path FROM app.cog_metadata WHERE etl_job_id = %(job_id)s ORDER BY 1, 2

-- name: left_blobs
-- Files of catalogue entries that were removed in an earlier attempt to delete this job.
SELECT DISTINCT b FROM app.jobs j JOIN app.job_events e ON e.job_key = j.job_key, jsonb_array_elements_text(e.event_data -> 'blobs') b
WHERE j.job_id = %(job_id)s AND e.task_index IS NULL AND e.event_type <> 'task_completed' AND e.checkpoint_name = 'artifacts_removed'

-- name: is_catalogued
-- Whether a file has come into use again.
SELECT EXISTS (SELECT FROM app.owners_of_file(%(container)s, %(path)s))

-- name: is_published
-- Whether the public sees an item.
SELECT coalesce((
    SELECT (i.content -> 'properties' ->> 'app:published')::boolean FROM pgstac.items i
    WHERE i.collection = %(collection_id)s AND i.id = %(item_id)s
), false)

-- name: count_rows
-- How much there is to delete. Tasks are counted by their stages.
SELECT (SELECT count(*) FROM app.jobs WHERE job_id = %(job_id)s) AS runs,
    (SELECT coalesce(sum(s.expected), 0) FROM app.jobs j JOIN app.stages s ON s.job_key = j.job_key WHERE j.job_id = %(job_id)s) AS tasks,
    (SELECT count(*) FROM app.api_requests WHERE job_id = %(job_id)s) AS requests,
    (SELECT count(*) FROM app.dataset_approvals WHERE job_id = %(job_id)s AND status = 'pending') AS reviews

-- name: withdraw_item
-- No review speaks of an item that is removed.
SELECT app.withdraw_item(%(collection_id)s, %(item_id)s, %(by)s, 'What it published was deleted with its job.')

-- name: delete_item
-- Remove an item from the catalogue, whichever partition it is in.
DELETE FROM pgstac.items WHERE id = %(item_id)s AND collection = %(collection_id)s

-- name: lock_collection
-- One writer per collection at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(7073, hashtext(%(collection_id)s))

-- name: delete_cogs
-- Forget a job's COGs.
DELETE FROM app.cog_metadata WHERE etl_job_id = %(job_id)s

-- name: delete_catalog
-- Forget a feature table; the tracking of every run that filled it goes with it.
DELETE FROM geo.table_catalog WHERE table_name = %(table_name)s

-- name: delete_requests
-- Forget who asked for a job.
DELETE FROM app.api_requests WHERE job_id = %(job_id)s

-- name: delete_reviews
-- Forget reviews nobody has decided.
DELETE FROM app.dataset_approvals WHERE job_id = %(job_id)s AND status = 'pending'

-- name: delete_queue
-- Open work has no foreign key.
DELETE FROM app.queue WHERE job_key = ANY (%(job_keys)s)

-- name: delete_jobs
-- Every run with its stages, tasks, events and dead letters; decided reviews stay without it.
DELETE FROM app.jobs WHERE job_key = ANY (%(job_keys)s)
