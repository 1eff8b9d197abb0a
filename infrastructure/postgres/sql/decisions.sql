-- name: lock
-- The record, held until the transaction ends.
SELECT * FROM app.dataset_approvals WHERE approval_id = %(approval_id)s FOR UPDATE

-- name: collections
-- Where a review's items are, in the order in which writers lock them.
SELECT DISTINCT stac_collection_id FROM app.approval_items WHERE approval_id = %(approval_id)s ORDER BY 1

-- name: vote
-- One reviewer consents; once.
INSERT INTO app.approval_votes (approval_id, reviewer, notes) VALUES (%(approval_id)s, %(reviewer)s, %(notes)s)
ON CONFLICT DO NOTHING

-- name: count_votes
-- How many have consented.
SELECT count(*) FROM app.approval_votes WHERE approval_id = %(approval_id)s

-- name: forget_votes
-- A refused revision starts again without consent.
DELETE FROM app.approval_votes WHERE approval_id = %(approval_id)s

-- name: approve
-- A reviewer accepts what is pending.
UPDATE app.dataset_approvals SET status = 'approved', reviewer = %(reviewer)s, changed_by = %(reviewer)s, notes = %(notes)s,
    rejection_reason = NULL, reviewed_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND status = 'pending' RETURNING *

-- name: reject
-- A reviewer refuses what is pending, with a reason.
UPDATE app.dataset_approvals SET status = 'rejected', reviewer = %(reviewer)s, changed_by = %(reviewer)s,
    rejection_reason = %(reason)s, reviewed_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND status = 'pending' RETURNING *

-- name: resubmit
-- A refused revision waits for a decision again.
UPDATE app.dataset_approvals SET status = 'pending', reviewer = NULL, reviewed_at = NULL, changed_by = %(by)s,
    updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND status = 'rejected'
    AND EXISTS (SELECT FROM app.approval_items i WHERE i.approval_id = %(approval_id)s AND i.state = 'open') RETURNING *

-- name: revoke
-- What was published is no longer.
UPDATE app.dataset_approvals SET status = 'revoked', revoked_at = clock_timestamp(), revoked_by = %(by)s, changed_by = %(by)s,
    revocation_reason = %(reason)s, updated_at = clock_timestamp()
WHERE approval_id = %(approval_id)s AND status = 'approved' RETURNING *

-- name: take_over_published
-- What an earlier review published, this one does now.
SELECT app.take_over(%(approval_id)s, '{published}')

-- name: missing_items
-- Items of a review that the catalogue does not have.
SELECT a.stac_collection_id, a.stac_item_id FROM app.approval_items a
WHERE a.approval_id = %(approval_id)s AND a.state = 'open'
    AND NOT EXISTS (SELECT FROM pgstac.items i WHERE i.collection = a.stac_collection_id AND i.id = a.stac_item_id)
ORDER BY 1, 2

-- name: mark_items
-- Write the same properties into every item that the review has in one state; none of them is a datetime.
UPDATE pgstac.items i
SET content = jsonb_set(i.content, '{properties}', (i.content -> 'properties') - %(without)s::text[] || %(properties)s::jsonb)
FROM app.approval_items a
WHERE a.approval_id = %(approval_id)s AND a.state = %(state)s::app.reviewed_item_state
    AND i.collection = a.stac_collection_id AND i.id = a.stac_item_id

-- name: mark_tables
-- Show or hide the tables behind the items. updated_at stays: rows that wait to join expect the table as it was, and it is.
UPDATE geo.table_catalog t SET published = %(published)s,
    published_at = CASE WHEN %(published)s THEN %(moment)s::timestamptz END
FROM app.approval_items a
WHERE a.approval_id = %(approval_id)s AND a.state = %(state)s::app.reviewed_item_state
    AND t.stac_collection_id = a.stac_collection_id AND t.stac_item_id = a.stac_item_id

-- name: settle_items
-- What the review has to do with its items from now on.
UPDATE app.approval_items SET state = %(after)s::app.reviewed_item_state
WHERE approval_id = %(approval_id)s AND state = %(state)s::app.reviewed_item_state

-- name: policy
-- What it takes to decide on a record.
SELECT * FROM app.policy_for(%(dataset_id)s, %(classification)s::app.access_level)
