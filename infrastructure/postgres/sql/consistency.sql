-- name: to_measure
-- Feature tables whose file, counters or row are not those that were measured.
SELECT t.schema_name, t.table_name, t.primary_geometry, k.relfilenode::bigint, coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
FROM geo.table_catalog t
JOIN pg_class k ON k.relname = t.table_name AND k.relkind = 'r'
    AND k.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = t.schema_name)
JOIN pg_attribute a ON a.attrelid = k.oid AND a.attname = t.primary_geometry AND a.atttypid = 'geometry'::regtype
LEFT JOIN pg_stat_user_tables s ON s.relid = k.oid
LEFT JOIN app.table_measures m ON m.table_name = t.table_name
WHERE NOT t.table_name = ANY (%(without)s)
    AND (m.filenode, m.changes, m.catalog_updated_at)
        IS DISTINCT FROM (k.relfilenode::bigint, coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0), t.updated_at)
ORDER BY t.table_name LIMIT %(limit)s

-- name: measure
-- What one table holds.
SELECT t.table_name, t.updated_at, m.* FROM geo.table_catalog t, (
    SELECT count(*), ST_XMin(ST_Extent({geometry})), ST_YMin(ST_Extent({geometry})), ST_XMax(ST_Extent({geometry})),
        ST_YMax(ST_Extent({geometry})), array_agg(DISTINCT ST_SRID({geometry})) FILTER (WHERE {geometry} IS NOT NULL),
        array_agg(DISTINCT ST_GeometryType({geometry})) FILTER (WHERE {geometry} IS NOT NULL)
    FROM {table}) m
WHERE t.table_name = {name}

-- name: keep_measure
-- Remember what was read.
INSERT INTO app.table_measures AS m (table_name, filenode, changes, catalog_updated_at, measured_at, row_count, srids,
    geometry_types, west, south, east, north)
VALUES (%(table_name)s, %(filenode)s, %(changes)s, %(catalog_updated_at)s, clock_timestamp(), %(row_count)s, %(srids)s::jsonb,
    %(geometry_types)s::jsonb, %(west)s, %(south)s, %(east)s, %(north)s)
ON CONFLICT (table_name) DO UPDATE SET filenode = excluded.filenode, changes = excluded.changes,
    catalog_updated_at = excluded.catalog_updated_at, measured_at = excluded.measured_at, row_count = excluded.row_count,
    srids = excluded.srids, geometry_types = excluded.geometry_types, west = excluded.west, south = excluded.south,
    east = excluded.east, north = excluded.north

-- name: forget_measures
-- Of tables that nobody describes any more.
DELETE FROM app.table_measures m WHERE NOT EXISTS (SELECT FROM geo.table_catalog t WHERE t.table_name = m.table_name)

-- name: now
-- The database's clock.
SELECT clock_timestamp()

-- name: containers
-- Where described files lie.
SELECT DISTINCT container FROM app.cog_metadata
UNION SELECT DISTINCT o ->> 'container' FROM app.cog_metadata c, jsonb_array_elements(c.other_cogs) o
WHERE jsonb_typeof(c.other_cogs) = 'array'

-- name: forget_blobs
-- What an earlier comparison left on this connection.
DROP TABLE IF EXISTS pg_temp.seen_blobs

-- name: create_blobs
-- The listing of storage, for this connection only.
CREATE TEMP TABLE seen_blobs (container text, path text, size bigint, etag text, modified timestamptz, href text)

-- name: copy_blobs
-- Where the listing is streamed to.
COPY seen_blobs FROM STDIN

-- name: analyze_blobs
-- For the planner.
ANALYZE seen_blobs

-- name: one_at_a_time
-- One comparison after the other, before any of them takes its snapshot.
SELECT pg_advisory_lock(7075)

-- name: next_one
-- The comparison is over.
SELECT pg_advisory_unlock(7075)

-- name: snapshot
-- All rules see one state.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: create_drift
-- What the rules find.
CREATE TEMP TABLE drift (kind text, severity text, repair text, object text, cause text, detail jsonb, automatic boolean) ON COMMIT DROP

-- name: add_drift
-- Add what a rule finds.
INSERT INTO drift SELECT %(kind)s, %(severity)s, %(repair)s, f.object, f.cause, f.detail, coalesce(f.automatic, false) FROM ({rule}) f

-- name: counts
-- How much was compared.
SELECT (SELECT count(*) FROM seen_items), (SELECT count(*) FROM seen_blobs), (SELECT count(*) FROM seen_tables)

-- name: start_run
-- A comparison.
INSERT INTO app.consistency_runs (scope, job_id, started_at, items, blobs, tables)
VALUES (%(scope)s::app.comparison_scope, %(job_id)s, %(started)s, %(items)s, %(blobs)s, %(tables)s) RETURNING run_id

-- name: write_findings
-- Each disagreement once. What was repaired or gone and is there again is open again; what may stay stays.
INSERT INTO app.consistency_findings AS f (kind, object, severity, cause, proposed_repair, automatic, detail, state, first_seen, last_seen,
    run_id)
SELECT DISTINCT ON (d.kind, d.object) d.kind::app.drift_kind, d.object, d.severity::app.drift_severity, d.cause, d.repair, d.automatic,
    jsonb_strip_nulls(d.detail), 'open', now(), now(), %(run_id)s
FROM drift d
ON CONFLICT (kind, object) DO UPDATE SET severity = excluded.severity, cause = excluded.cause,
    proposed_repair = excluded.proposed_repair, automatic = excluded.automatic, detail = excluded.detail,
    state = CASE f.state WHEN 'dismissed' THEN f.state ELSE 'open' END,
    refused = CASE WHEN f.state = 'open' THEN f.refused END,
    first_seen = CASE WHEN f.state IN ('open', 'dismissed') THEN f.first_seen ELSE excluded.first_seen END,
    last_seen = excluded.last_seen, run_id = excluded.run_id

-- name: close_findings
-- What was looked for and is not there any more.
UPDATE app.consistency_findings f SET state = 'gone', dismissed_by = NULL, dismissal_reason = NULL
WHERE f.kind::text = ANY (%(kinds)s) AND f.state IN ('open', 'dismissed') AND f.run_id <> %(run_id)s
    AND NOT EXISTS (SELECT FROM drift d WHERE d.kind = f.kind::text AND d.object = f.object)

-- name: finish_run
-- What came of it.
UPDATE app.consistency_runs r SET finished_at = clock_timestamp(), closed = %(closed)s,
    seen = (SELECT count(DISTINCT (d.kind, d.object)) FROM drift d),
    opened = (SELECT count(*) FROM app.consistency_findings f WHERE f.run_id = r.run_id AND f.first_seen = f.last_seen),
    counts = (SELECT coalesce(jsonb_object_agg(c.kind, c.n), '{}') FROM (
        SELECT d.kind, count(DISTINCT d.object) AS n FROM drift d GROUP BY d.kind) c)
WHERE r.run_id = %(run_id)s RETURNING run_id, items, blobs, tables, seen, opened, closed, counts

-- name: orphans
-- What the rule of orphans finds in the listing, and how many there are.
SELECT b.path, b.size, b.modified, count(*) OVER ()
FROM ({rule}) f JOIN seen_blobs b ON f.object = 'blob:' || b.container || '/' || b.path
WHERE right(lower(b.path), length(%(suffix)s)) = %(suffix)s
ORDER BY b.path COLLATE "C" LIMIT %(limit)s

-- name: count_blobs
-- How many were listed.
SELECT count(*) FROM seen_blobs

-- name: findings
-- Findings, newest first.
SELECT * FROM app.consistency_findings
WHERE (%(state)s::text IS NULL OR state = %(state)s::app.finding_state) AND (%(kind)s::text IS NULL OR kind = %(kind)s::app.drift_kind)
    AND (%(severity)s::text IS NULL OR severity = %(severity)s::app.drift_severity)
    AND (%(before)s::bigint IS NULL OR finding_id < %(before)s)
ORDER BY finding_id DESC LIMIT %(limit)s

-- name: finding
-- One finding.
SELECT * FROM app.consistency_findings WHERE finding_id = %(finding_id)s

-- name: count_findings
-- Open findings by kind.
SELECT kind::text, count(*) FROM app.consistency_findings WHERE state = 'open' GROUP BY 1 ORDER BY 1

-- name: runs
-- Comparisons, newest first.
SELECT * FROM app.consistency_runs WHERE (%(before)s::bigint IS NULL OR run_id < %(before)s) ORDER BY run_id DESC LIMIT %(limit)s

-- name: dismiss
-- A person says that it may stay.
UPDATE app.consistency_findings SET state = 'dismissed', dismissed_by = %(by)s, dismissal_reason = %(reason)s
WHERE finding_id = %(finding_id)s AND state = 'open' RETURNING *
