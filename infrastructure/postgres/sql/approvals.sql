-- name: page
-- Approval records, newest first.
SELECT * FROM app.dataset_approvals WHERE true {conditions} ORDER BY number DESC LIMIT %(limit)s OFFSET %(offset)s

-- name: with_status
-- In that state.
AND status = %(status)s::app.approval_status

-- name: with_classification
-- Of that level.
AND classification = %(classification)s::app.access_level

-- name: with_dataset_id
-- Of a dataset.
AND dataset_id = %(dataset_id)s

-- name: with_collection_id
-- With an item of a collection.
AND EXISTS (SELECT FROM app.approval_items i WHERE i.approval_id = dataset_approvals.approval_id AND i.stac_collection_id = %(collection_id)s)

-- name: with_job_id
-- Of a job.
AND job_id = %(job_id)s

-- name: with_client_id
-- Of a client's jobs.
AND client_id = %(client_id)s

-- name: with_before
-- On the next page.
AND number < %(before)s

-- name: counts
-- How many records are in each state, of one client if asked.
SELECT status, count(*) FROM app.dataset_approvals WHERE %(client_id)s::text IS NULL OR client_id = %(client_id)s GROUP BY status

-- name: get
-- One record.
SELECT * FROM app.dataset_approvals WHERE approval_id = %(approval_id)s

-- name: of_job
-- The record that a job's result opened.
SELECT * FROM app.dataset_approvals a WHERE a.job_id = %(job_id)s ORDER BY a.number DESC LIMIT 1

-- name: find
-- The record that one of the ids means, of one client if asked: in that state if there is one, else the newest.
SELECT * FROM app.dataset_approvals a
WHERE (a.approval_id = %(approval_id)s OR a.job_id = %(job_id)s OR a.request_id = %(request_id)s OR a.approval_id IN (
    SELECT i.approval_id FROM app.approval_items i WHERE i.stac_item_id = %(stac_item_id)s))
    AND (%(client_id)s::text IS NULL OR a.client_id = %(client_id)s)
ORDER BY a.status = %(status)s::app.approval_status DESC, a.number DESC LIMIT 1

-- name: ambiguous
-- Whether records in that state speak of items of that name in several collections.
SELECT count(DISTINCT i.stac_collection_id) > 1 AND count(DISTINCT i.approval_id) > 1
FROM app.approval_items i JOIN app.dataset_approvals a ON a.approval_id = i.approval_id
WHERE i.stac_item_id = %(stac_item_id)s AND a.status = %(status)s::app.approval_status
    AND (%(client_id)s::text IS NULL OR a.client_id = %(client_id)s)

-- name: standing_of_items
-- For each item the record, of one client if asked, that says how it stands: the one that publishes it, else the newest.
SELECT DISTINCT ON (i.stac_item_id) i.stac_item_id AS name, a.*
FROM app.approval_items i JOIN app.dataset_approvals a ON a.approval_id = i.approval_id
WHERE i.stac_item_id = ANY (%(items)s) AND (%(client_id)s::text IS NULL OR a.client_id = %(client_id)s)
ORDER BY i.stac_item_id, i.state = 'published' DESC, a.number DESC

-- name: standing_of_collections
-- The same for collections.
SELECT DISTINCT ON (i.stac_collection_id) i.stac_collection_id AS name, a.*
FROM app.approval_items i JOIN app.dataset_approvals a ON a.approval_id = i.approval_id
WHERE i.stac_collection_id = ANY (%(collections)s) AND (%(client_id)s::text IS NULL OR a.client_id = %(client_id)s)
ORDER BY i.stac_collection_id, i.state = 'published' DESC, a.number DESC

-- name: standing_of_tables
-- The same for feature tables.
SELECT DISTINCT ON (t.table_name) t.table_name AS name, a.*
FROM geo.table_catalog t
JOIN app.approval_items i ON i.stac_collection_id = t.stac_collection_id AND i.stac_item_id = t.stac_item_id
JOIN app.dataset_approvals a ON a.approval_id = i.approval_id
WHERE t.table_name = ANY (%(tables)s) AND (%(client_id)s::text IS NULL OR a.client_id = %(client_id)s)
ORDER BY t.table_name, i.state = 'published' DESC, a.number DESC

-- name: items
-- What a review covers.
SELECT stac_collection_id, stac_item_id, state FROM app.approval_items WHERE approval_id = %(approval_id)s ORDER BY 1, 2

-- name: history
-- Every step of a record and every consent, oldest first.
SELECT at, from_status::text, to_status::text, by, reason FROM app.approval_history WHERE approval_id = %(approval_id)s
UNION ALL
SELECT voted_at, 'pending', 'pending', reviewer, notes FROM app.approval_votes WHERE approval_id = %(approval_id)s
ORDER BY 1

-- name: votes
-- Who has consented so far.
SELECT reviewer FROM app.approval_votes WHERE approval_id = %(approval_id)s ORDER BY voted_at

-- name: open_trial
-- A review of a made-up item, which no run of a job made.
INSERT INTO app.dataset_approvals (
    approval_id, job_id, job_type, classification, subject, revision, stac_collection_id, stac_item_id, client_id, submitted_by, changed_by)
VALUES (%(approval_id)s, %(job_id)s, 'approval_test', %(classification)s, %(collection_id)s || '/' || %(approval_id)s, 1, %(collection_id)s,
    %(approval_id)s, %(client_id)s, %(by)s, %(by)s)
RETURNING *

-- name: add_trial_item
-- Its item.
INSERT INTO app.approval_items (approval_id, stac_collection_id, stac_item_id) VALUES (%(approval_id)s, %(collection_id)s, %(approval_id)s)
