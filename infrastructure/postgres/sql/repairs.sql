-- name: state
-- Everything that a repair of these names may touch.
SELECT jsonb_build_object(
    'item', pgstac.get_item(%(item_id)s, %(collection_id)s),
    'collection', (SELECT c.content FROM pgstac.collections c WHERE c.id = %(collection_id)s),
    'cog', (SELECT to_jsonb(c) FROM app.cog_metadata c WHERE c.cog_id = %(cog_id)s),
    'catalog', (SELECT to_jsonb(t) FROM geo.table_catalog t WHERE t.table_name = %(table_name)s),
    'refs', (SELECT jsonb_agg(to_jsonb(r) ORDER BY r.stac_collection_id, r.stac_item_id) FROM app.dataset_refs r
        WHERE r.cog_id = %(cog_id)s OR r.table_name = %(table_name)s),
    'column', (SELECT format_type(a.atttypid, a.atttypmod) FROM geo.table_catalog t JOIN pg_attribute a
        ON a.attrelid = to_regclass(format('%%I.%%I', t.schema_name, t.table_name)) AND a.attname = t.primary_geometry
        WHERE t.table_name = %(table_name)s),
    'indexes', (SELECT jsonb_agg(n.relname ORDER BY n.relname) FROM geo.table_catalog t
        JOIN pg_index x ON x.indrelid = to_regclass(format('%%I.%%I', t.schema_name, t.table_name))
        JOIN pg_class n ON n.oid = x.indexrelid WHERE t.table_name = %(table_name)s))

-- name: expected
-- When a record was written last, held until the transaction ends.
SELECT updated_at FROM app.cog_metadata WHERE cog_id = %(cog_id)s FOR UPDATE

-- name: expected_table
-- When a row was written last, held until the transaction ends.
SELECT updated_at FROM geo.table_catalog WHERE table_name = %(table_name)s FOR UPDATE

-- name: marks
-- What the reviews say about an item: the one in force, else a revocation that nothing followed.
SELECT coalesce(
    (SELECT jsonb_build_object('app:published', true, 'app:published_at', app.moment(a.reviewed_at), 'app:approved_by', a.reviewer)
    FROM app.approval_items i JOIN app.dataset_approvals a USING (approval_id)
    WHERE i.stac_collection_id = %(collection_id)s AND i.stac_item_id = %(item_id)s AND i.state = 'published'),
    (SELECT jsonb_build_object('app:published', false, 'app:revoked', true, 'app:revoked_at', app.moment(a.revoked_at),
        'app:revoked_by', a.revoked_by, 'app:revocation_reason', a.revocation_reason)
    FROM app.approval_items i JOIN app.dataset_approvals a USING (approval_id)
    WHERE i.stac_collection_id = %(collection_id)s AND i.stac_item_id = %(item_id)s AND i.state = 'withdrawn' AND a.status = 'revoked'
    ORDER BY a.revoked_at DESC LIMIT 1),
    '{"app:published": false}')

-- name: mark_item
-- Show or hide an item as the reviews say.
UPDATE pgstac.items i
SET content = jsonb_set(i.content, '{properties}', (i.content -> 'properties') - %(without)s::text[] || %(marks)s::jsonb)
WHERE i.collection = %(collection_id)s AND i.id = %(item_id)s
    AND (i.content -> 'properties') - %(without)s::text[] || %(marks)s::jsonb <> i.content -> 'properties'

-- name: mark_table
-- Show or hide the table behind an item.
UPDATE geo.table_catalog t SET published = %(published)s, published_at = CASE WHEN %(published)s THEN %(moment)s::timestamptz END,
    updated_at = clock_timestamp()
WHERE t.stac_collection_id = %(collection_id)s AND t.stac_item_id = %(item_id)s AND t.published <> %(published)s

-- name: relink_cog
-- A COG's row names the item that shows it.
UPDATE app.cog_metadata SET stac_collection_id = %(collection_id)s, stac_item_id = %(item_id)s WHERE cog_id = %(cog_id)s

-- name: relink_table
-- A table's row names the item that shows it.
UPDATE geo.table_catalog SET stac_collection_id = %(collection_id)s, stac_item_id = %(item_id)s WHERE table_name = %(table_name)s

-- name: forget_refs
-- References of a record that name another item.
DELETE FROM app.dataset_refs r
WHERE (r.cog_id = %(cog_id)s OR r.table_name = %(table_name)s) AND (r.stac_collection_id, r.stac_item_id) <> (%(collection_id)s, %(item_id)s)

-- name: note_etag
-- What storage says of a file whose content is as described.
UPDATE app.cog_metadata c SET etag = CASE WHEN c.blob_path = %(path)s THEN %(etag)s ELSE c.etag END,
    other_cogs = CASE WHEN jsonb_typeof(c.other_cogs) = 'array' THEN (
        SELECT jsonb_agg(CASE WHEN o.cog ->> 'blob_path' = %(path)s THEN o.cog || jsonb_build_object('etag', %(etag)s::text) ELSE o.cog END
            ORDER BY o.place)
        FROM jsonb_array_elements(c.other_cogs) WITH ORDINALITY AS o (cog, place)) ELSE c.other_cogs END
WHERE c.cog_id = %(cog_id)s

-- name: table
-- Where a table and its geometry are.
SELECT schema_name, primary_geometry, geometry_type, srid FROM geo.table_catalog WHERE table_name = %(table_name)s

-- name: has_index
-- Whether a column has a spatial index.
SELECT EXISTS (
    SELECT FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid JOIN pg_am m ON m.oid = n.relam
    JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[])
    WHERE x.indrelid = to_regclass(%(table)s) AND a.attname = %(column)s AND x.indisvalid AND m.amname IN ('gist', 'spgist', 'brin'))

-- name: impatient
-- Wait a moment for a table that somebody writes, not for ever.
SET LOCAL lock_timeout = '10s'

-- name: create_index
-- For windows and tiles.
CREATE INDEX ON {table} USING gist ({column})

-- name: drop_index
-- It was not there before.
DROP INDEX IF EXISTS {index}

-- name: set_type
-- The column says what it holds.
ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING {column}::{type}

-- name: record
-- What was mended.
INSERT INTO app.repairs (finding_id, kind, object, target, by, before, after)
VALUES ((SELECT f.finding_id FROM app.consistency_findings f WHERE f.finding_id = %(finding_id)s), %(kind)s::app.drift_kind, %(object)s,
    %(target)s::jsonb, %(by)s, %(before)s::jsonb, %(after)s::jsonb)

-- name: close
-- The finding is no more.
UPDATE app.consistency_findings SET state = 'repaired' WHERE finding_id = %(finding_id)s AND state = 'open'

-- name: refuse
-- It turned out to need a person: nobody is to try again unasked.
UPDATE app.consistency_findings SET refused = %(reason)s WHERE finding_id = %(finding_id)s AND state = 'open'

-- name: lock_repair
-- One repair, held until the transaction ends.
SELECT * FROM app.repairs WHERE repair_id = %(repair_id)s FOR UPDATE

-- name: put_row
-- Write a record as it was.
UPDATE {table} SET ({columns}) = (SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %(row)s::jsonb)) WHERE {key} = %(key)s

-- name: delete_refs
-- References of a record.
DELETE FROM app.dataset_refs r WHERE r.cog_id = %(cog_id)s OR r.table_name = %(table_name)s

-- name: put_refs
-- References as they were.
INSERT INTO app.dataset_refs SELECT * FROM jsonb_populate_recordset(NULL::app.dataset_refs, %(rows)s::jsonb)

-- name: undone
-- It was taken back.
UPDATE app.repairs SET undone_at = clock_timestamp(), undone_by = %(by)s WHERE repair_id = %(repair_id)s RETURNING *

-- name: leave
-- What was found is let stay: the next comparison must not have it mended again.
UPDATE app.consistency_findings SET state = 'dismissed', dismissed_by = %(by)s, dismissal_reason = %(reason)s
WHERE finding_id = %(finding_id)s

-- name: repairs
-- Repairs, newest first.
SELECT * FROM app.repairs
WHERE (%(before)s::bigint IS NULL OR repair_id < %(before)s) AND (%(object)s::text IS NULL OR object = %(object)s)
ORDER BY repair_id DESC LIMIT %(limit)s

-- name: to_repair
-- Open findings that can be mended without a person, those of one collection or those asked for.
SELECT f.finding_id, f.kind::text AS kind, f.object, f.detail FROM app.consistency_findings f
WHERE f.state = 'open' AND f.automatic AND (%(collection_id)s::text IS NULL OR f.detail ->> 'collection_id' = %(collection_id)s)
    AND ((%(everything)s AND f.refused IS NULL) OR f.finding_id = ANY (%(findings)s::bigint[]))
ORDER BY f.finding_id LIMIT %(limit)s

-- name: exists
-- Whether a record's item is there.
SELECT EXISTS (SELECT FROM pgstac.items WHERE collection = %(collection_id)s AND id = %(item_id)s)

-- name: policy_lock
-- One decision about repairs at a time.
SELECT pg_advisory_xact_lock(7076)

-- name: healing
-- Whether repairs that nobody asked for are under way, or were a moment ago.
SELECT EXISTS (
    SELECT FROM app.jobs j WHERE j.job_type = 'repair_stac_items' AND (j.finished_at IS NULL
        OR (j.submitted_by = 'timer' AND j.created_at > clock_timestamp() - make_interval(mins => %(cooldown)s))))
