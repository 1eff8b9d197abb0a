-- name: identity
-- Which database this is, and which making of our schema: the number changes when the schema is dropped and made again.
SELECT current_database()::text, coalesce(to_regnamespace('app')::oid::bigint, 0)

-- name: contents
-- What a rebuild would drop, schema by schema.
SELECT n.nspname AS schema, count(*) AS tables, sum(greatest(c.reltuples, 0))::bigint AS rows, sum(pg_total_relation_size(c.oid))::bigint AS total_bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'm') GROUP BY 1 ORDER BY 1

-- name: cleanable
-- How many jobs a cleanup would archive, and how many archived ones it would drop.
SELECT (SELECT count(*) FROM app.archivable_jobs j WHERE j.finished_at < clock_timestamp() - %(days)s * interval '1 day'),
    (SELECT count(*) FROM app.droppable_jobs j WHERE j.finished_at < clock_timestamp() - %(days)s * interval '1 day')
