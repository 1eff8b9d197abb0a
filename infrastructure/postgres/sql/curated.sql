-- name: register
-- A dataset that nobody has registered yet; no row when its id, table or role is taken.
INSERT INTO app.curated_datasets (dataset_id, name, description, source_type, source_url, source_config, update_strategy,
    update_key, update_schedule, target_table_name, access_level, system_role, enabled, created_by)
VALUES (%(dataset_id)s, %(name)s, %(description)s, %(source_type)s, %(source_url)s, %(source_config)s::jsonb,
    %(update_strategy)s, %(update_key)s::jsonb, %(update_schedule)s, %(target_table_name)s, %(access_level)s,
    %(system_role)s, %(enabled)s, %(created_by)s)
ON CONFLICT DO NOTHING
RETURNING *

-- name: taken_by
-- The dataset that has the id, the table or the role.
SELECT dataset_id FROM app.curated_datasets
WHERE (dataset_id = %(dataset_id)s OR target_table_name = %(target_table_name)s OR system_role = %(system_role)s)
    AND dataset_id IS DISTINCT FROM %(but)s
LIMIT 1

-- name: dataset
-- One dataset.
SELECT * FROM app.curated_datasets WHERE dataset_id = %(dataset_id)s

-- name: lock_dataset
-- One dataset, nobody else's until the end of the transaction.
SELECT * FROM app.curated_datasets WHERE dataset_id = %(dataset_id)s FOR UPDATE

-- name: datasets
-- Datasets by id.
SELECT * FROM app.curated_datasets
WHERE (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s) AND (%(after)s::text IS NULL OR dataset_id > %(after)s)
ORDER BY dataset_id LIMIT %(limit)s

-- name: scheduled
-- Datasets that the clock keeps up to date.
SELECT * FROM app.curated_datasets WHERE enabled AND update_schedule IS NOT NULL ORDER BY dataset_id

-- name: change
-- Change a definition. What was loaded by another one is loaded again.
UPDATE app.curated_datasets SET name = %(name)s, description = %(description)s, source_type = %(source_type)s,
    source_url = %(source_url)s, source_config = %(source_config)s::jsonb, update_strategy = %(update_strategy)s,
    update_key = %(update_key)s::jsonb, update_schedule = %(update_schedule)s, access_level = %(access_level)s,
    system_role = %(system_role)s, enabled = %(enabled)s,
    source_version = CASE WHEN %(same)s THEN source_version END,
    content_sha256 = CASE WHEN %(same)s THEN content_sha256 END,
    updated_at = clock_timestamp()
WHERE dataset_id = %(dataset_id)s
RETURNING *

-- name: delete
-- Forget a dataset and its history.
DELETE FROM app.curated_datasets WHERE dataset_id = %(dataset_id)s RETURNING *

-- name: history
-- Its latest updates, newest first.
SELECT * FROM app.curated_update_log
WHERE dataset_id = %(dataset_id)s AND (%(before)s::bigint IS NULL OR log_id < %(before)s)
ORDER BY log_id DESC LIMIT %(limit)s

-- name: take_period
-- Act on a time of its schedule, unless somebody did.
UPDATE app.curated_datasets SET scheduled_for = %(period)s
WHERE dataset_id = %(dataset_id)s AND enabled AND (scheduled_for IS NULL OR scheduled_for < %(period)s)
RETURNING true

-- name: refused
-- Write down that no job could be submitted.
INSERT INTO app.curated_update_log (dataset_id, update_type, scheduled_for, status, message, completed_at)
VALUES (%(dataset_id)s, 'scheduled', %(period)s, 'failed', left(%(reason)s, 1000), clock_timestamp())

-- name: updating
-- The job of its earliest update that has not ended.
SELECT job_id FROM app.curated_update_log WHERE dataset_id = %(dataset_id)s AND completed_at IS NULL
ORDER BY log_id LIMIT 1

-- name: under_review
-- Whether a revision of the table waits for a decision.
SELECT EXISTS (
    SELECT FROM app.artifacts a JOIN app.dataset_approvals r ON r.approval_id = a.approval_id
    WHERE a.status = 'draft' AND r.status = 'pending' AND a.tables ? ('geo.' || %(table)s))

-- name: note_update
-- How far an update is.
UPDATE app.curated_update_log SET status = %(status)s, source_version = coalesce(%(source_version)s, source_version),
    records_added = %(added)s, records_updated = %(updated)s, records_deleted = %(deleted)s, records_total = %(total)s,
    message = %(message)s, completed_at = CASE WHEN %(ended)s THEN clock_timestamp() END
WHERE job_id = %(job_id)s AND completed_at IS NULL

-- name: note_dataset
-- What it found. Content that came by a definition that was changed meanwhile is loaded again.
UPDATE app.curated_datasets SET last_checked_at = clock_timestamp(),
    last_updated_at = CASE WHEN %(loaded)s THEN clock_timestamp() ELSE last_updated_at END,
    source_version = CASE WHEN %(content_sha256)s::text IS NOT NULL AND updated_at = %(defined_at)s
        THEN %(source_version)s ELSE source_version END,
    content_sha256 = CASE WHEN %(content_sha256)s::text IS NOT NULL AND updated_at = %(defined_at)s
        THEN %(content_sha256)s ELSE content_sha256 END
WHERE dataset_id = %(dataset_id)s
