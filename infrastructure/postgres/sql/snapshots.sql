-- name: lock
-- One writer for each name at a time: two hosts whose timers fire together write one row.
SELECT pg_advisory_xact_lock(hashtextextended('snapshot ' || %(process)s, 0))

-- name: latest
-- The configuration that was seen last.
SELECT * FROM app.system_snapshots WHERE process = %(process)s ORDER BY snapshot_id DESC LIMIT 1

-- name: history
-- Configurations, newest first.
SELECT * FROM app.system_snapshots WHERE (%(process)s::text IS NULL OR process = %(process)s)
    AND (%(before)s::bigint IS NULL OR snapshot_id < %(before)s)
ORDER BY snapshot_id DESC LIMIT %(limit)s

-- name: seen
-- It still is so.
UPDATE app.system_snapshots SET seen_at = clock_timestamp() WHERE snapshot_id = %(snapshot_id)s RETURNING *

-- name: store
-- It is otherwise now.
INSERT INTO app.system_snapshots (process, trigger_type, config_hash, snapshot, changes, previous_snapshot_id)
VALUES (%(process)s, %(trigger_type)s::app.snapshot_trigger, %(config_hash)s, %(snapshot)s::jsonb, %(changes)s::jsonb, %(previous)s)
RETURNING *
