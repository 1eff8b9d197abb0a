-- name: register
-- A service that nobody has registered yet; no row when its address is known.
INSERT INTO app.external_services (service_id, url, probe_url, name, description, tags, check_interval_minutes, created_by,
    next_check_at)
VALUES (%(service_id)s, %(url)s, %(url)s, %(name)s, %(description)s, %(tags)s::jsonb, %(check_interval_minutes)s,
    %(created_by)s, clock_timestamp() + interval '5 minutes')
ON CONFLICT DO NOTHING
RETURNING *

-- name: service
-- One service.
SELECT * FROM app.external_services WHERE service_id = %(service_id)s

-- name: lock_service
-- One service, nobody else's until the end of the transaction.
SELECT * FROM app.external_services WHERE service_id = %(service_id)s FOR UPDATE

-- name: services
-- Services by name.
SELECT * FROM app.external_services
WHERE (%(status)s::text IS NULL OR status = %(status)s::app.service_status)
    AND (%(service_type)s::text IS NULL OR service_type = %(service_type)s::app.service_type)
    AND (%(tag)s::text IS NULL OR tags ? %(tag)s)
    AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s)
    AND (%(after)s::text[] IS NULL OR (name, service_id) > (%(after)s[1], %(after)s[2]))
ORDER BY name, service_id LIMIT %(limit)s

-- name: checks
-- How the latest checks of a service went, newest first.
SELECT * FROM app.external_service_checks WHERE service_id = %(service_id)s ORDER BY check_id DESC LIMIT %(limit)s

-- name: claim_due
-- Take services whose check is due, for as long as a check may take.
WITH due AS (
    SELECT service_id FROM app.external_services
    WHERE enabled AND next_check_at <= clock_timestamp() AND status <> 'maintenance'
    ORDER BY next_check_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE app.external_services s SET next_check_at = clock_timestamp() + make_interval(secs => %(lease)s)
FROM due WHERE s.service_id = due.service_id
RETURNING s.*

-- name: judged
-- How a service stands after a check. What it is changes only where the check recognised it.
UPDATE app.external_services SET
    status = CASE WHEN status = 'maintenance' THEN status ELSE %(status)s::app.service_status END,
    consecutive_failures = %(failures)s, slow_checks = %(slow)s,
    last_response_ms = coalesce(%(response_ms)s, last_response_ms),
    avg_response_ms = CASE WHEN NOT %(healthy)s THEN avg_response_ms
        WHEN avg_response_ms IS NULL THEN %(response_ms)s ELSE round(avg_response_ms * 0.8 + %(response_ms)s * 0.2) END,
    last_failure_reason = CASE WHEN %(healthy)s THEN last_failure_reason ELSE left(%(reason)s, 1000) END,
    last_check_at = clock_timestamp(),
    next_check_at = clock_timestamp() + make_interval(secs => %(wait)s),
    service_type = coalesce(%(service_type)s::app.service_type, service_type),
    detection_confidence = coalesce(%(confidence)s, detection_confidence),
    probe_url = coalesce(%(probe_url)s, probe_url),
    detected_capabilities = coalesce(%(capabilities)s::jsonb, detected_capabilities),
    metadata = coalesce(%(metadata)s::jsonb, metadata),
    updated_at = clock_timestamp()
WHERE service_id = %(service_id)s
RETURNING *

-- name: keep_check
-- Write a check down; its number.
INSERT INTO app.external_service_checks (service_id, checked_at, healthy, status_code, response_ms, reason, status)
VALUES (%(service_id)s, clock_timestamp(), %(healthy)s, %(status_code)s, %(response_ms)s, left(%(reason)s, 1000),
    %(status)s::app.service_status)
RETURNING check_id

-- name: forget_checks
-- Keep the newest checks of a service.
DELETE FROM app.external_service_checks c WHERE c.service_id = %(service_id)s AND c.check_id <= (
    SELECT check_id FROM app.external_service_checks WHERE service_id = %(service_id)s
    ORDER BY check_id DESC OFFSET %(kept)s LIMIT 1)

-- name: promise_alert
-- Promise to tell of a change of state, once for each check.
INSERT INTO app.outbox (topic, dedup_key, payload) VALUES (%(topic)s, %(dedup_key)s, %(payload)s::jsonb)
ON CONFLICT (topic, dedup_key) DO NOTHING

-- name: update
-- Change what people say about a service. An enabled one is checked at once.
UPDATE app.external_services SET name = %(name)s, description = %(description)s, tags = %(tags)s::jsonb,
    check_interval_minutes = %(check_interval_minutes)s, enabled = %(enabled)s, status = %(status)s::app.service_status,
    next_check_at = CASE WHEN %(due)s THEN clock_timestamp() ELSE next_check_at END, updated_at = clock_timestamp()
WHERE service_id = %(service_id)s
RETURNING *

-- name: delete
-- Forget a service and its history.
DELETE FROM app.external_services WHERE service_id = %(service_id)s RETURNING *

-- name: stats
-- How many services there are, how they are, and how the last day went.
SELECT
    (SELECT count(*) FROM app.external_services) AS total,
    (SELECT count(*) FROM app.external_services WHERE enabled) AS enabled,
    (SELECT count(*) FROM app.external_services WHERE enabled AND next_check_at < clock_timestamp()
        AND status <> 'maintenance') AS due,
    (SELECT coalesce(jsonb_object_agg(status, n), '{}') FROM (
        SELECT status, count(*) AS n FROM app.external_services GROUP BY status) s) AS by_status,
    (SELECT coalesce(jsonb_object_agg(service_type, n), '{}') FROM (
        SELECT service_type, count(*) AS n FROM app.external_services GROUP BY service_type) t) AS by_type,
    (SELECT count(*) FROM app.external_service_checks WHERE checked_at > now() - interval '1 day') AS checks_24h,
    (SELECT count(*) FROM app.external_service_checks WHERE checked_at > now() - interval '1 day' AND NOT healthy)
        AS failed_24h,
    (SELECT round(avg(response_ms)) FROM app.external_service_checks
        WHERE checked_at > now() - interval '1 day' AND healthy) AS avg_response_ms_24h
