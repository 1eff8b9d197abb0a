-- name: find
-- One key by the id in its text, which is the primary key.
SELECT * FROM app.api_keys WHERE key_id = %(key_id)s

-- name: list
-- Keys, newest first.
SELECT * FROM app.api_keys
WHERE (%(client_id)s::text IS NULL OR client_id = %(client_id)s) AND (%(all)s OR revoked_at IS NULL)
ORDER BY created_at DESC, key_id LIMIT %(limit)s

-- name: create
-- A new key; its secret is not among the values.
INSERT INTO app.api_keys (key_id, client_id, name, roles, digest, created_by, expires_at, replaces)
VALUES (%(key_id)s, %(client_id)s, %(name)s, %(roles)s::jsonb, %(digest)s, %(created_by)s, %(expires_at)s, %(replaces)s)
RETURNING *

-- name: lock
-- The key, held until the transaction ends.
SELECT * FROM app.api_keys WHERE key_id = %(key_id)s FOR UPDATE

-- name: ended
-- Whether a key has expired, and which key that is not withdrawn has replaced it.
SELECT coalesce(k.expires_at <= clock_timestamp(), false),
    (SELECT s.key_id FROM app.api_keys s WHERE s.replaces = k.key_id AND s.revoked_at IS NULL LIMIT 1)
FROM app.api_keys k WHERE k.key_id = %(key_id)s

-- name: revoke
-- Withdraw a key for good.
UPDATE app.api_keys SET revoked_at = clock_timestamp(), revoked_by = %(by)s WHERE key_id = %(key_id)s RETURNING *

-- name: expire
-- Let a key work a while longer, but never longer than it would have.
UPDATE app.api_keys SET expires_at = least(expires_at, clock_timestamp() + %(grace)s) WHERE key_id = %(key_id)s

-- name: touch
-- Remember that keys were used. Of many processes that saw it one writes, and nobody waits.
UPDATE app.api_keys k SET last_used_at = u.at
FROM (
    SELECT o.key_id, g.at FROM app.api_keys o
    JOIN unnest(%(key_ids)s::text[], %(moments)s::timestamptz[]) AS g (key_id, at) ON g.key_id = o.key_id
    WHERE o.last_used_at IS NULL OR o.last_used_at < g.at
    FOR UPDATE OF o SKIP LOCKED
) u
WHERE k.key_id = u.key_id
