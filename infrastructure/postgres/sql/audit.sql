-- name: record
-- Write down a deed, in the transaction that does it.
INSERT INTO app.audit_log (actor, client_id, credential, address, request_id, action, object_type, object_id, details)
VALUES (%(actor)s, %(client_id)s, %(credential)s, %(address)s, %(request_id)s, %(action)s, %(object_type)s, %(object_id)s,
    %(details)s::jsonb)

-- name: entries
-- Deeds, newest first.
SELECT * FROM app.audit_log WHERE true {conditions} ORDER BY audit_id DESC LIMIT %(limit)s

-- name: with_actor
-- Who did it.
AND actor = %(actor)s

-- name: with_client_id
-- For whom.
AND client_id = %(client_id)s

-- name: with_action
-- What was done.
AND action = %(action)s

-- name: with_object_type
-- To what kind of object.
AND object_type = %(object_type)s

-- name: with_object_id
-- To which object.
AND object_id = %(object_id)s

-- name: with_since
-- Not before.
AND at >= %(since)s

-- name: with_until
-- Before.
AND at < %(until)s

-- name: with_before
-- On the next page.
AND audit_id < %(before)s
