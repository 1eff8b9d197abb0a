-- name: read_only
-- Whatever an administrator looks at, nothing changes, and nobody waits long for it.
SELECT set_config('transaction_read_only', 'on', true), set_config('statement_timeout', '15s', true);

-- name: schemas
-- Every schema but the server's own, with how much is in it. `rows` are the planner's estimate.
SELECT n.nspname AS schema, count(c.oid) AS tables, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows,
    coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS total_bytes
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm')
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
GROUP BY n.nspname ORDER BY n.nspname

-- name: tables
-- The tables and materialised views of a schema, or one of them, with sizes and the state of vacuum.
SELECT n.nspname || '.' || c.relname AS table,
    CASE c.relkind WHEN 'm' THEN 'materialized view' WHEN 'v' THEN 'view' WHEN 'p' THEN 'partitioned table' ELSE 'table' END AS kind,
    greatest(c.reltuples, 0)::bigint AS rows, pg_table_size(c.oid) AS table_bytes, pg_indexes_size(c.oid) AS index_bytes,
    coalesce(s.n_live_tup, 0) AS live_rows, coalesce(s.n_dead_tup, 0) AS dead_rows, coalesce(s.seq_scan, 0) AS sequential_scans,
    coalesce(s.idx_scan, 0) AS index_scans, greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum,
    greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'm', 'v') AND (%(table)s::text IS NULL OR c.relname = %(table)s)
ORDER BY pg_total_relation_size(c.oid) DESC, c.relname

-- name: columns
-- The columns of a table in order.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
    pg_get_expr(d.adbin, d.adrelid) AS "default"
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: indexes
-- The indexes of a table, with how often each was used since statistics began.
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition, i.indisunique AS "unique", i.indisvalid AS valid,
    pg_relation_size(i.indexrelid) AS bytes, coalesce(s.idx_scan, 0) AS scans
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
WHERE i.indrelid = format('%%I.%%I', %(schema)s::text, %(table)s::text)::regclass
ORDER BY c.relname

-- name: sample
-- Some rows of a table; the columns are chosen by who asks.
SELECT to_jsonb(chosen) FROM (SELECT {columns} FROM {table} {ordered} LIMIT %(limit)s OFFSET %(offset)s) AS chosen

-- name: ordered
-- In the order of one column.
ORDER BY {column}

-- name: enums
-- Every enum of ours with its labels in order.
SELECT n.nspname || '.' || t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_enum e ON e.enumtypid = t.oid
WHERE n.nspname = ANY (%(schemas)s) GROUP BY 1 ORDER BY 1

-- name: functions
-- Every function of ours, as it is called.
SELECT p.oid::regprocedure::text AS name, pg_get_function_result(p.oid) AS returns
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = ANY (%(schemas)s) AND p.prokind IN ('f', 'p') ORDER BY 1

-- name: privileges
-- What the role of this process may do with each schema.
SELECT n.nspname AS schema, current_user::text AS role, has_schema_privilege(n.oid, 'USAGE') AS may_use,
    has_schema_privilege(n.oid, 'CREATE') AS may_create, pg_has_role(n.nspowner, 'MEMBER') AS owns
FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
