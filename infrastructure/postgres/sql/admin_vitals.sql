-- name: vitals
-- The figures of the whole database. `transaction_age` counts towards the two thousand million after which PostgreSQL stops.
SELECT current_database()::text AS database, split_part(version(), ' ', 2) AS version, pg_database_size(d.oid) AS bytes,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    current_setting('max_connections')::int AS max_connections, age(d.datfrozenxid) AS transaction_age,
    coalesce((SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start)) FROM pg_stat_activity a
        WHERE a.datname = d.datname AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()), 0)::double precision
        AS longest_transaction_seconds,
    s.deadlocks, s.temp_bytes, s.xact_commit AS commits, s.xact_rollback AS rollbacks, s.stats_reset AS statistics_since,
    CASE WHEN s.blks_hit + s.blks_read > 0 THEN s.blks_hit::double precision / (s.blks_hit + s.blks_read) END AS cache_hit_ratio
FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
WHERE d.datname = current_database()

-- name: bloated
-- Tables where more than a fifth, and more than ten thousand, of the rows are dead: vacuum does not keep up.
SELECT s.schemaname || '.' || s.relname FROM pg_stat_user_tables s
WHERE s.n_dead_tup > 10000 AND s.n_dead_tup > 0.2 * (s.n_live_tup + s.n_dead_tup)
ORDER BY s.n_dead_tup DESC LIMIT 20

-- name: invalid_indexes
-- Indexes whose build failed: they cost every write and answer nothing.
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 20

-- name: scanned_tables
-- Tables by how many rows were read by scanning them whole.
SELECT s.schemaname || '.' || s.relname AS table, s.seq_scan AS sequential_scans, s.seq_tup_read AS rows_scanned,
    coalesce(s.idx_scan, 0) AS index_scans, s.n_live_tup AS live_rows
FROM pg_stat_user_tables s WHERE s.seq_scan > 0 ORDER BY s.seq_tup_read DESC LIMIT %(limit)s

-- name: unused_indexes
-- Indexes that nothing has used since statistics began and that no constraint needs, the largest first.
SELECT s.indexrelid::regclass::text AS index, s.schemaname || '.' || s.relname AS table, pg_relation_size(s.indexrelid) AS bytes
FROM pg_stat_user_indexes s JOIN pg_index i ON i.indexrelid = s.indexrelid
WHERE s.idx_scan = 0 AND NOT i.indisunique AND s.schemaname <> 'pgstac'
ORDER BY bytes DESC LIMIT %(limit)s

-- name: pgstac
-- The catalogue: its version, how much it holds, and what waits in its queue. `items` is the planner's estimate.
SELECT (SELECT count(*) FROM pgstac.collections) AS collections,
    (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = 'pgstac.items'::regclass) AS partitions,
    (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'pgstac' AND c.relname ~ '^_items_[0-9]' AND c.relkind = 'r') AS items,
    (SELECT count(*) FROM pgstac.query_queue) AS queued_queries,
    (SELECT jsonb_object_agg(name, value) FROM pgstac.pgstac_settings) AS settings
