-- name: running
-- What sessions of this database are doing, the longest first; at least so many seconds of it. The text has no parameters in it.
SELECT a.pid, a.application_name AS application, a.usename AS role, a.state, a.wait_event_type AS waits_for,
    extract(epoch FROM clock_timestamp() - a.query_start)::double precision AS seconds,
    extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS transaction_seconds,
    pg_blocking_pids(a.pid) AS blocked_by, left(regexp_replace(a.query, '\s+', ' ', 'g'), 500) AS query
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
    AND a.state IS DISTINCT FROM 'idle'
    AND clock_timestamp() - coalesce(a.query_start, a.backend_start) >= %(seconds)s * interval '1 second'
ORDER BY a.query_start NULLS LAST LIMIT %(limit)s

-- name: locks
-- Who waits for a lock on what, and who holds it.
SELECT l.pid, w.application_name AS application, l.mode, coalesce(l.relation::regclass::text, l.locktype) AS object,
    extract(epoch FROM clock_timestamp() - l.waitstart)::double precision AS seconds, pg_blocking_pids(l.pid) AS blocked_by,
    left(regexp_replace(w.query, '\s+', ' ', 'g'), 500) AS query
FROM pg_locks l JOIN pg_stat_activity w ON w.pid = l.pid
WHERE NOT l.granted AND w.datname = current_database()
ORDER BY l.waitstart LIMIT %(limit)s

-- name: connections
-- How many sessions each program has in which state.
SELECT a.application_name AS application, a.usename AS role, coalesce(a.state, 'unknown') AS state, count(*) AS sessions,
    max(extract(epoch FROM clock_timestamp() - a.state_change))::double precision AS longest_seconds
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
GROUP BY 1, 2, 3 ORDER BY sessions DESC, 1, 2, 3 LIMIT %(limit)s
