-- name: attempted
-- Keep how an attempt ended.
INSERT INTO app.webhook_deliveries (event_id, event_type, request_id, client_id, url, status_code, error, duration_ms)
VALUES (%(event_id)s, %(event_type)s, %(request_id)s, %(client_id)s, %(url)s, %(status_code)s, %(error)s, %(duration_ms)s)

-- name: page
-- Attempts, newest first.
SELECT * FROM app.webhook_deliveries
WHERE (%(request_id)s::text IS NULL OR request_id = %(request_id)s) AND (%(event_id)s::text IS NULL OR event_id = %(event_id)s)
    AND (%(before)s::bigint IS NULL OR delivery_id < %(before)s)
ORDER BY delivery_id DESC LIMIT %(limit)s

-- name: forget
-- Attempts of long ago.
DELETE FROM app.webhook_deliveries WHERE at < clock_timestamp() - %(days)s * interval '1 day'

-- name: replay
-- Promise an event anew.
UPDATE app.outbox SET delivered_at = NULL, dead_at = NULL, attempts = 0, worker = NULL, not_before = clock_timestamp()
WHERE topic = 'webhook' AND dedup_key = %(event_id)s

-- name: resolve_letters
-- Its dead letter is done with.
UPDATE app.dead_letters d SET state = 'redriven', resolved_at = clock_timestamp(), resolved_by = %(by)s
FROM app.outbox o WHERE o.topic = 'webhook' AND o.dedup_key = %(event_id)s AND d.outbox_id = o.outbox_id AND d.state = 'open'
