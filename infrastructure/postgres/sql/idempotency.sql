-- name: begin
-- Take a key, or see who has it and what he was answered. One that was held for too long is the next caller's.
INSERT INTO app.idempotency_keys AS k (client_id, key, request_hash, holder) VALUES (%(client_id)s, %(key)s, %(digest)s, %(holder)s)
ON CONFLICT (client_id, key) DO UPDATE SET (holder, created_at) = (
    SELECT CASE WHEN lost THEN excluded.holder ELSE k.holder END, CASE WHEN lost THEN clock_timestamp() ELSE k.created_at END
    FROM (SELECT k.answer IS NULL AND k.request_hash = excluded.request_hash
        AND k.created_at < clock_timestamp() - %(held)s::interval) AS state (lost)
)
RETURNING k.request_hash, k.status_code, k.answer, k.holder

-- name: finish
-- Keep what the holder was answered.
UPDATE app.idempotency_keys SET status_code = %(status)s, answer = %(answer)s::jsonb
WHERE client_id = %(client_id)s AND key = %(key)s AND holder = %(holder)s

-- name: abandon
-- Nothing came of the holder's call.
DELETE FROM app.idempotency_keys WHERE client_id = %(client_id)s AND key = %(key)s AND holder = %(holder)s

-- name: forget
-- Keys of long ago.
DELETE FROM app.idempotency_keys WHERE created_at < clock_timestamp() - %(days)s * interval '1 day'
