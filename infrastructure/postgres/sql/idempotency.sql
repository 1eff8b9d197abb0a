-- name: begin
-- Reserve a key, or see what it was used for.
INSERT INTO app.idempotency_keys AS k (client_id, key, request_hash) VALUES (%(client_id)s, %(key)s, %(digest)s)
ON CONFLICT (client_id, key) DO UPDATE SET key = excluded.key
RETURNING k.request_hash, k.status_code, k.answer

-- name: finish
-- Keep the first answer.
UPDATE app.idempotency_keys SET status_code = %(status)s, answer = %(answer)s::jsonb
WHERE client_id = %(client_id)s AND key = %(key)s AND answer IS NULL

-- name: abandon
-- Nothing came of the call.
DELETE FROM app.idempotency_keys WHERE client_id = %(client_id)s AND key = %(key)s AND answer IS NULL

-- name: forget
-- Keys of long ago.
DELETE FROM app.idempotency_keys WHERE created_at < clock_timestamp() - %(days)s * interval '1 day'
