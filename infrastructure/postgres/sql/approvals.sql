-- name: list
-- Approval records, newest first.
SELECT * FROM app.dataset_approvals
WHERE (%(status)s::text IS NULL OR status = %(status)s::app.approval_status)
    AND (%(classification)s::text IS NULL OR classification = %(classification)s::app.access_level)
ORDER BY created_at DESC, approval_id LIMIT %(limit)s OFFSET %(offset)s

-- name: counts
-- How many records are in each state.
SELECT status, count(*) FROM app.dataset_approvals GROUP BY status

-- name: get
-- One record.
SELECT * FROM app.dataset_approvals WHERE approval_id = %(approval_id)s

-- name: of_job
-- The record that a job's result opened.
SELECT * FROM app.dataset_approvals a WHERE a.job_id = %(job_id)s ORDER BY a.created_at DESC LIMIT 1

-- name: lock
-- The record, held until the transaction ends.
SELECT * FROM app.dataset_approvals WHERE approval_id = %(approval_id)s FOR UPDATE

-- name: items
-- What a review covers.
SELECT stac_collection_id, stac_item_id, state FROM app.approval_items WHERE approval_id = %(approval_id)s ORDER BY 1, 2

-- name: approve
-- A reviewer accepts what is pending.
UPDATE app.dataset_approvals SET status = 'approved', reviewer = %(reviewer)s, notes = %(notes)s,
    reviewed_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND status = 'pending' RETURNING *

-- name: take_over_published
-- What an earlier review published, this one does now.
SELECT app.take_over(%(approval_id)s, '{published}')

-- name: items_published
-- This review shows its items.
UPDATE app.approval_items SET state = 'published' WHERE approval_id = %(approval_id)s AND state = 'open'

-- name: reject
-- A reviewer refuses what is pending, with a reason.
UPDATE app.dataset_approvals SET status = 'rejected', reviewer = %(reviewer)s, rejection_reason = %(reason)s,
    reviewed_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND status = 'pending' RETURNING *

-- name: publish_tables
-- Show or hide the tables behind a STAC item.
UPDATE geo.table_catalog SET published = %(published)s, published_at = CASE WHEN %(published)s THEN %(moment)s::timestamptz END,
    updated_at = clock_timestamp()
WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s
