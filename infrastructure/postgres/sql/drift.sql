-- name: seen_items
-- What the rules ask of every item, read once: the document of an item is large, and each look unpacks it.
CREATE TEMP TABLE seen_items ON COMMIT DROP AS
SELECT i.collection, i.id, i.datetime AS starts, i.end_datetime AS ends,
    c.properties -> 'app:published' IS NOT DISTINCT FROM 'true'::jsonb AS published,
    c.properties ->> 'postgis:table' AS table_name,
    c.assets -> 'data' ->> 'href' AS href,
    app.cog_href(jsonb_build_object('assets', c.assets)) AS cog,
    ARRAY(SELECT a.value ->> 'href' FROM jsonb_each(c.assets) a WHERE a.key <> 'data') AS further,
    i.private -> 'digest' IS DISTINCT FROM to_jsonb(app.item_digest(i.content, i.geometry, i.datetime, i.end_datetime, %(later)s)) AS changed,
    (c.bbox ->> 0)::float AS west, (c.bbox ->> 1)::float AS south, (c.bbox ->> 2)::float AS east, (c.bbox ->> 3)::float AS north
FROM pgstac.items i, jsonb_to_record(i.content) AS c (properties jsonb, assets jsonb, bbox jsonb)

-- name: analyze_items
-- For the planner.
ANALYZE seen_items

-- name: seen_files
-- Every file that a record describes.
CREATE TEMP TABLE seen_files ON COMMIT DROP AS
SELECT c.cog_id, c.container, c.blob_path AS path, c.size_bytes AS size, c.etag, c.updated_at, true AS main FROM app.cog_metadata c
UNION ALL
SELECT c.cog_id, o ->> 'container', o ->> 'blob_path', (o ->> 'size_bytes')::bigint, o ->> 'etag', c.updated_at, false
FROM app.cog_metadata c, jsonb_array_elements(c.other_cogs) o WHERE jsonb_typeof(c.other_cogs) = 'array'

-- name: seen_tables
-- Every described feature table, with its relation and geometry column where there are any.
CREATE TEMP TABLE seen_tables ON COMMIT DROP AS
SELECT t.*, k.oid AS relation, k.relfilenode, a.attnum, a.atttypmod,
    CASE WHEN a.atttypmod > 0 THEN postgis_typmod_srid(a.atttypmod) END AS column_srid,
    CASE WHEN a.atttypmod > 0 THEN postgis_typmod_type(a.atttypmod) END AS column_type
FROM geo.table_catalog t
LEFT JOIN pg_class k ON k.relname = t.table_name AND k.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND k.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = t.schema_name)
LEFT JOIN pg_attribute a ON a.attrelid = k.oid AND a.attname = t.primary_geometry AND a.atttypid = 'geometry'::regtype

-- name: stac_item_without_record
-- Items whose COG or table no record describes, neither under their name nor under another.
SELECT 'item:' || i.collection || '/' || i.id AS object,
    format('%%s/%%s shows %%s, which no record describes.', i.collection, i.id, coalesce(i.table_name, i.href, 'nothing')) AS cause,
    jsonb_build_object('collection_id', i.collection, 'item_id', i.id, 'href', i.href, 'table_name', i.table_name) AS detail,
    false AS automatic
FROM seen_items i
LEFT JOIN app.cog_metadata c ON c.stac_collection_id = i.collection AND c.stac_item_id = i.id
LEFT JOIN app.cog_metadata f ON f.cog_url = i.href
LEFT JOIN geo.table_catalog t ON t.stac_collection_id = i.collection AND t.stac_item_id = i.id
LEFT JOIN geo.table_catalog n ON n.table_name = i.table_name
WHERE c.cog_id IS NULL AND f.cog_id IS NULL AND t.table_name IS NULL AND n.table_name IS NULL

-- name: record_without_stac_item
-- Records that no item shows. A row without its table is another finding.
SELECT 'cog:' || c.cog_id AS object, format('No item shows COG %%s.', c.cog_id) AS cause,
    jsonb_build_object('cog_id', c.cog_id, 'collection_id', c.stac_collection_id, 'item_id', c.stac_item_id) AS detail,
    c.footprint IS NOT NULL AND c.etl_job_id IS NOT NULL AND c.processed_at IS NOT NULL AS automatic
FROM app.cog_metadata c LEFT JOIN seen_items i ON i.href = c.cog_url WHERE i.id IS NULL
UNION ALL
SELECT 'table:' || t.table_name, format('No item shows table %%s.%%s.', t.schema_name, t.table_name),
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id),
    t.stac_collection_id IS NOT NULL AND t.stac_item_id IS NOT NULL AND t.bbox_minx IS NOT NULL
FROM seen_tables t LEFT JOIN seen_items i ON i.table_name = t.table_name WHERE i.id IS NULL AND t.relation IS NOT NULL

-- name: broken_backlink
-- Records that name another item than the one that shows them.
SELECT 'cog:' || c.cog_id AS object,
    format('COG %%s names item %%s/%%s, but %%s/%%s shows it.', c.cog_id, c.stac_collection_id, c.stac_item_id, i.collection, i.id) AS cause,
    jsonb_build_object('cog_id', c.cog_id, 'collection_id', i.collection, 'item_id', i.id) AS detail, i.shows = 1 AS automatic
FROM app.cog_metadata c
JOIN (SELECT href, min(collection) AS collection, min(id) AS id, count(*) AS shows FROM seen_items GROUP BY href) i ON i.href = c.cog_url
WHERE NOT EXISTS (
    SELECT FROM seen_items o WHERE o.collection = c.stac_collection_id AND o.id = c.stac_item_id AND o.href = c.cog_url)
UNION ALL
SELECT 'table:' || t.table_name,
    format('Table %%s names item %%s/%%s, but %%s/%%s shows it.', t.table_name, t.stac_collection_id, t.stac_item_id, i.collection, i.id),
    jsonb_build_object('table_name', t.table_name, 'collection_id', i.collection, 'item_id', i.id), i.shows = 1
FROM geo.table_catalog t
JOIN (SELECT table_name, min(collection) AS collection, min(id) AS id, count(*) AS shows FROM seen_items GROUP BY table_name) i
    USING (table_name)
WHERE NOT EXISTS (
    SELECT FROM seen_items o WHERE o.collection = t.stac_collection_id AND o.id = t.stac_item_id AND o.table_name = t.table_name)

-- name: changed_item
-- Items that say something else than was written, and still show the record that names them.
SELECT 'cog:' || c.cog_id AS object,
    format('%%s/%%s, which shows COG %%s, is not as it was written.', i.collection, i.id, c.cog_id) AS cause,
    jsonb_build_object('cog_id', c.cog_id, 'collection_id', i.collection, 'item_id', i.id) AS detail,
    c.footprint IS NOT NULL AND c.etl_job_id IS NOT NULL AND c.processed_at IS NOT NULL AS automatic
FROM seen_items i JOIN app.cog_metadata c ON c.stac_collection_id = i.collection AND c.stac_item_id = i.id AND c.cog_url = i.href
WHERE i.changed
UNION ALL
SELECT 'table:' || t.table_name, format('%%s/%%s, which shows table %%s, is not as it was written.', i.collection, i.id, t.table_name),
    jsonb_build_object('table_name', t.table_name, 'collection_id', i.collection, 'item_id', i.id),
    t.relation IS NOT NULL AND t.bbox_minx IS NOT NULL
FROM seen_items i
JOIN seen_tables t ON t.stac_collection_id = i.collection AND t.stac_item_id = i.id AND t.table_name = i.table_name
WHERE i.changed

-- name: missing_blob
-- Described files that the listing did not have. What was described while it was made may have come after it.
SELECT 'blob:' || f.container || '/' || f.path AS object,
    format('%%s/%%s, described as COG %%s, is not in storage.', f.container, f.path, f.cog_id) AS cause,
    jsonb_build_object('cog_id', f.cog_id, 'container', f.container, 'path', f.path) AS detail, false AS automatic
FROM seen_files f LEFT JOIN seen_blobs b ON b.container = f.container AND b.path = f.path
WHERE b.path IS NULL AND f.updated_at < %(started)s AND f.container = ANY (%(containers)s)

-- name: changed_blob
-- Files of another size or ETag than described.
SELECT 'blob:' || f.container || '/' || f.path AS object,
    format('%%s/%%s has %%s bytes and ETag %%s; described are %%s and %%s.', f.container, f.path, b.size, b.etag, f.size,
        coalesce(f.etag, 'no ETag')) AS cause,
    jsonb_build_object('cog_id', f.cog_id, 'container', f.container, 'path', f.path, 'size', b.size, 'etag', b.etag) AS detail,
    b.size = f.size AS automatic
FROM seen_files f JOIN seen_blobs b ON b.container = f.container AND b.path = f.path
WHERE f.updated_at < %(started)s AND (b.size <> f.size OR b.etag <> f.etag)

-- name: orphan_blob
-- Old outputs in storage that no record, revision, item, collection or job speaks of. A mosaic's predecessor goes with its next change.
WITH spoken AS (
    SELECT f.href FROM app.artifacts a, jsonb_array_elements_text(a.files) AS f (href)
    WHERE a.status <> 'deleted' OR a.files_deleted_at IS NULL OR a.files_deleted_at > %(started)s
    UNION SELECT i.href FROM seen_items i UNION SELECT u.href FROM seen_items i, unnest(i.further) AS u (href)
    UNION SELECT a.value ->> 'href' FROM pgstac.collections c, jsonb_each(coalesce(c.content -> 'assets', '{}')) a
), worked AS (
    SELECT j.job_key, t.parameters, t.result FROM app.jobs j JOIN app.tasks t USING (job_key)
    WHERE j.finished_at IS NULL OR j.finished_at > %(started)s OR (j.status IN ('failed', 'cancelled') AND j.superseded_at IS NULL)
), named AS (
    SELECT n #>> '{}' AS path FROM worked w, jsonb_path_query(jsonb_build_array(w.parameters, w.result), '$.**.blob_name') n
    UNION SELECT n #>> '{}' FROM worked w, jsonb_path_query(jsonb_build_array(w.parameters, w.result), '$.**.path') n
), removed AS (
    SELECT r.blob FROM app.job_events e, jsonb_array_elements_text(e.event_data -> 'blobs') AS r (blob)
    WHERE e.checkpoint_name = 'artifacts_removed' AND e.created_at > %(settled)s
)
SELECT 'blob:' || b.container || '/' || b.path AS object,
    format('Nothing speaks of %%s/%%s (%%s bytes, of %%s).', b.container, b.path, b.size, b.modified) AS cause,
    jsonb_build_object('container', b.container, 'path', b.path, 'size', b.size, 'etag', b.etag) AS detail, false AS automatic
FROM seen_blobs b
WHERE b.container LIKE 'silver%%'
    AND b.modified < least(%(settled)s, (
        SELECT min(j.created_at) FROM app.jobs j
        WHERE j.status IN ('queued', 'processing') AND j.job_type NOT IN ('reconcile', 'detect_orphan_blobs')))
    AND NOT EXISTS (SELECT FROM seen_files f WHERE f.container = b.container AND f.path = b.path)
    AND NOT EXISTS (SELECT FROM spoken s WHERE s.href = b.href)
    AND NOT EXISTS (SELECT FROM named n WHERE n.path = b.path)
    AND NOT EXISTS (SELECT FROM removed r WHERE r.blob = b.container || '/' || b.path)
    AND NOT EXISTS (
        SELECT FROM spoken s WHERE b.path ~ '/mosaic-[0-9a-f]{16}[.]json$' AND s.href ~ '/mosaic-[0-9a-f]{16}[.]json$'
            AND left(s.href, -28) = left(b.href, -28))

-- name: table_without_catalog_row
-- Finished tables with features that no row describes.
SELECT 'table:' || k.relname AS object, format('Table geo.%%s has features and no catalogue row.', k.relname) AS cause,
    jsonb_build_object('table_name', k.relname) AS detail, false AS automatic
FROM pg_class k
WHERE k.relnamespace = 'geo'::regnamespace AND k.relkind IN ('r', 'p') AND NOT k.relispartition
    AND strpos(k.relname, %(mark)s) = 0
    AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.oid AND a.atttypid = 'geometry'::regtype AND NOT a.attisdropped)
    AND NOT EXISTS (SELECT FROM geo.table_catalog t WHERE t.table_name = k.relname AND t.schema_name = 'geo')

-- name: catalog_row_without_table
-- Rows whose table is gone.
SELECT 'table:' || t.table_name AS object, format('There is no table %%s.%%s.', t.schema_name, t.table_name) AS cause,
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id) AS detail,
    false AS automatic
FROM seen_tables t WHERE t.relation IS NULL

-- name: wrong_extent
-- Tables whose features lie elsewhere than described. What was read of an earlier state says nothing.
SELECT 'table:' || t.table_name AS object,
    format('The features of %%s lie in %%s, %%s, %%s, %%s; described are %%s, %%s, %%s, %%s.', t.table_name, m.west, m.south, m.east, m.north,
        t.bbox_minx, t.bbox_miny, t.bbox_maxx, t.bbox_maxy) AS cause,
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id) AS detail,
    t.stac_item_id IS NOT NULL AS automatic
FROM seen_tables t JOIN app.table_measures m USING (table_name)
WHERE m.catalog_updated_at = t.updated_at AND m.filenode = t.relfilenode AND m.west IS NOT NULL AND t.column_srid = t.srid
    AND NOT (app.same_edge(m.west, t.bbox_minx) AND app.same_edge(m.south, t.bbox_miny)
        AND app.same_edge(m.east, t.bbox_maxx) AND app.same_edge(m.north, t.bbox_maxy))

-- name: wrong_count
-- Tables with more or fewer features than described.
SELECT 'table:' || t.table_name AS object,
    format('Table %%s has %%s features; described are %%s.', t.table_name, m.row_count, t.feature_count) AS cause,
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id) AS detail,
    t.stac_item_id IS NOT NULL AND m.row_count > 0 AS automatic
FROM seen_tables t JOIN app.table_measures m USING (table_name)
WHERE m.catalog_updated_at = t.updated_at AND m.filenode = t.relfilenode AND m.row_count IS DISTINCT FROM t.feature_count

-- name: wrong_srid
-- Columns of another CRS than described. Where the features then lie as described, it is the row that is wrong.
SELECT 'table:' || t.table_name AS object,
    format('The geometries of %%s are in EPSG:%%s; described is EPSG:%%s.', t.table_name, t.column_srid, t.srid) AS cause,
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id) AS detail,
    coalesce(t.stac_item_id IS NOT NULL AND t.column_srid > 0 AND m.catalog_updated_at = t.updated_at
        AND app.same_edge(m.west, t.bbox_minx) AND app.same_edge(m.north, t.bbox_maxy), false) AS automatic
FROM seen_tables t LEFT JOIN app.table_measures m USING (table_name)
WHERE t.column_srid <> t.srid

-- name: untyped_geometry
-- Columns that do not say what they hold.
SELECT 'table:' || t.table_name AS object,
    format('Column %%s of %%s has no geometry type; it holds %%s in EPSG:%%s.', t.primary_geometry, t.table_name,
        coalesce(m.geometry_types::text, 'nothing known'), coalesce(m.srids::text, '?')) AS cause,
    jsonb_build_object('table_name', t.table_name) AS detail,
    coalesce(m.filenode = t.relfilenode AND m.srids = jsonb_build_array(t.srid) AND t.srid > 0, false) AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.refobjid = t.relation AND d.classid = 'pg_rewrite'::regclass) AS automatic
FROM seen_tables t LEFT JOIN app.table_measures m USING (table_name)
WHERE t.attnum IS NOT NULL AND t.column_srid IS NULL

-- name: missing_spatial_index
-- Columns without an index that finds features by place, unless their job was asked to make none.
SELECT 'table:' || t.table_name AS object, format('Column %%s of %%s has no spatial index.', t.primary_geometry, t.table_name) AS cause,
    jsonb_build_object('table_name', t.table_name) AS detail, true AS automatic
FROM seen_tables t JOIN pg_class k ON k.oid = t.relation AND k.relkind = 'r'
WHERE t.attnum IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid JOIN pg_am m ON m.oid = n.relam
        WHERE x.indrelid = t.relation AND x.indisvalid AND t.attnum = ANY (x.indkey::int2[]) AND m.amname IN ('gist', 'spgist', 'brin'))
    AND NOT EXISTS (
        SELECT FROM app.vector_etl_tracking v JOIN app.jobs j ON j.job_id = v.etl_job_id
        WHERE v.table_name = t.table_name AND v.status = 'completed' AND j.parameters -> 'indexes' ->> 'spatial' = 'false')

-- name: published_mismatch
-- Items and tables that are shown although no review lets them, or hidden although one does.
SELECT 'item:' || i.collection || '/' || i.id AS object,
    format('%%s/%%s is %%s, but %%s.', i.collection, i.id,
        CASE WHEN i.published OR coalesce(t.published, false) THEN 'shown' ELSE 'hidden' END,
        CASE WHEN a.approval_id IS NULL THEN 'no review in force lets it be shown' ELSE 'review ' || a.approval_id || ' has it shown' END) AS cause,
    jsonb_build_object('collection_id', i.collection, 'item_id', i.id, 'table_name', t.table_name, 'approval_id', a.approval_id) AS detail,
    true AS automatic
FROM seen_items i
LEFT JOIN app.approval_items a ON a.stac_collection_id = i.collection AND a.stac_item_id = i.id AND a.state = 'published'
LEFT JOIN geo.table_catalog t ON t.stac_collection_id = i.collection AND t.stac_item_id = i.id
WHERE i.published <> (a.approval_id IS NOT NULL) OR t.published <> (a.approval_id IS NOT NULL)

-- name: stale_collection_extent
-- Collections that do not cover their items in space or time. An open end covers everything. What others wrote counts once it is mended.
SELECT 'collection:' || s.id AS object, format('Collection %%s does not cover its items.', s.id) AS cause,
    jsonb_build_object('collection_id', s.id) AS detail, true AS automatic
FROM (
    SELECT c.id, c.content -> 'extent' -> 'spatial' -> 'bbox' -> 0 AS box, c.content -> 'extent' -> 'temporal' -> 'interval' -> 0 AS span
    FROM pgstac.collections c
) s
JOIN (
    SELECT i.collection, min(CASE WHEN i.west > i.east THEN -180 ELSE i.west END) AS west, min(i.south) AS south,
        max(CASE WHEN i.west > i.east THEN 180 ELSE i.east END) AS east, max(i.north) AS north, min(i.starts) AS starts, max(i.ends) AS ends
    FROM seen_items i WHERE NOT i.changed GROUP BY i.collection
) u ON u.collection = s.id
CROSS JOIN LATERAL (SELECT jsonb_array_length(s.box) / 2 AS half) h
WHERE (s.box ->> 0)::float > u.west OR (s.box ->> 1)::float > u.south OR (s.box ->> h.half)::float < u.east
    OR (s.box ->> (h.half + 1))::float < u.north OR (s.span ->> 0)::timestamptz > u.starts OR (s.span ->> 1)::timestamptz < u.ends

-- name: stale_mosaic
-- Mosaics that are gone or show other items than the collection has. Where records wait for their item, the mosaic waits for it too.
SELECT 'collection:' || c.id AS object, format('The mosaic of %%s %%s.', c.id, CASE
        WHEN w.forgotten THEN 'is no search that pgSTAC knows' WHEN b.href IS NULL THEN 'is not in storage'
        ELSE 'shows other items than the collection has' END) AS cause,
    jsonb_build_object('collection_id', c.id) AS detail, true AS automatic
FROM pgstac.collections c
CROSS JOIN LATERAL (SELECT c.content -> 'assets' -> 'mosaicjson' AS asset, c.content -> 'summaries' -> 'mosaic:search_id' ->> 0 AS search) m
CROSS JOIN LATERAL (
    SELECT m.search IS NOT NULL AND NOT EXISTS (SELECT FROM pgstac.searches s WHERE s.hash = m.search) AS forgotten) w
LEFT JOIN seen_blobs b ON b.href = m.asset ->> 'href'
LEFT JOIN LATERAL (
    SELECT encode(sha256(convert_to(string_agg(i.id || ' ' || i.cog, E'\n' ORDER BY i.id COLLATE "C"), 'UTF8')), 'hex') AS members
    FROM seen_items i WHERE i.collection = c.id AND i.cog IS NOT NULL
) n ON m.asset IS NOT NULL
WHERE (w.forgotten OR (m.asset IS NOT NULL AND (b.href IS NULL OR m.asset ->> 'app:members' IS DISTINCT FROM n.members)))
    AND NOT EXISTS (
        SELECT FROM app.cog_metadata r LEFT JOIN seen_items i ON i.href = r.cog_url WHERE r.stac_collection_id = c.id AND i.id IS NULL)

-- name: dangling_ref
-- References that name another item than their record, unless it is the record that is wrong.
SELECT 'ref:' || r.stac_collection_id || '/' || r.stac_item_id AS object,
    format('The reference of dataset %%s names %%s/%%s; its record names %%s/%%s.', r.dataset_id, r.stac_collection_id, r.stac_item_id,
        o.collection, o.item) AS cause,
    jsonb_build_object('cog_id', r.cog_id, 'table_name', r.table_name, 'collection_id', o.collection, 'item_id', o.item,
        'stated', jsonb_build_array(r.stac_collection_id, r.stac_item_id)) AS detail,
    true AS automatic
FROM app.dataset_refs r
JOIN (
    SELECT c.cog_id, NULL AS table_name, c.stac_collection_id AS collection, c.stac_item_id AS item
    FROM app.cog_metadata c JOIN seen_items i ON i.collection = c.stac_collection_id AND i.id = c.stac_item_id AND i.href = c.cog_url
    UNION ALL
    SELECT NULL, t.table_name, t.stac_collection_id, t.stac_item_id
    FROM geo.table_catalog t
    JOIN seen_items i ON i.collection = t.stac_collection_id AND i.id = t.stac_item_id AND i.table_name = t.table_name
) o ON o.cog_id = r.cog_id OR o.table_name = r.table_name
WHERE (r.stac_collection_id, r.stac_item_id) <> (o.collection, o.item)

-- name: stale_revision
-- Revisions in force whose item and record are both gone, or whose item shows another file or table than the revision made.
SELECT 'revision:' || a.stac_collection_id || '/' || a.stac_item_id AS object,
    CASE WHEN i.id IS NULL
        THEN format('Revision %%s of %%s/%%s is in force, but neither item nor record is there.', a.revision, a.stac_collection_id, a.stac_item_id)
        ELSE format('%%s/%%s shows %%s, which revision %%s did not make.', i.collection, i.id, coalesce(i.table_name, i.href), a.revision)
    END AS cause,
    jsonb_build_object('artifact_id', a.artifact_id, 'collection_id', a.stac_collection_id, 'item_id', a.stac_item_id) AS detail, false AS automatic
FROM app.artifacts a
LEFT JOIN seen_items i ON i.collection = a.stac_collection_id AND i.id = a.stac_item_id
LEFT JOIN app.cog_metadata c ON i.id IS NULL AND c.stac_collection_id = a.stac_collection_id AND c.stac_item_id = a.stac_item_id
LEFT JOIN geo.table_catalog t ON i.id IS NULL AND t.stac_collection_id = a.stac_collection_id AND t.stac_item_id = a.stac_item_id
WHERE a.status = 'current' AND CASE
    WHEN i.id IS NULL THEN c.cog_id IS NULL AND t.table_name IS NULL
    WHEN i.table_name IS NOT NULL THEN NOT EXISTS (
        SELECT FROM jsonb_array_elements_text(a.tables) AS made (name) WHERE split_part(made.name, '.', 2) = i.table_name)
    ELSE NOT a.files ? i.href END

-- name: missing_ref
-- COGs and tables of a dataset version that none of its references names. The run that filled a table last says whose it is.
SELECT 'cog:' || c.cog_id AS object, format('No reference of dataset %%s names COG %%s.', c.dataset_id, c.cog_id) AS cause,
    jsonb_build_object('cog_id', c.cog_id, 'collection_id', c.stac_collection_id, 'item_id', c.stac_item_id) AS detail, true AS automatic
FROM app.cog_metadata c
WHERE c.dataset_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM app.dataset_refs r WHERE r.cog_id = c.cog_id AND r.dataset_id = c.dataset_id
        AND r.resource_id IS NOT DISTINCT FROM c.resource_id AND r.version_id IS NOT DISTINCT FROM c.version_id)
UNION ALL
SELECT 'table:' || t.table_name, format('No reference of dataset %%s names table %%s.', v.dataset_id, t.table_name),
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id),
    t.stac_item_id IS NOT NULL
FROM geo.table_catalog t
CROSS JOIN LATERAL (
    SELECT w.* FROM app.vector_etl_tracking w WHERE w.table_name = t.table_name AND w.status = 'completed'
    ORDER BY w.processing_completed_at DESC NULLS LAST, w.created_at DESC LIMIT 1) v
WHERE v.dataset_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM app.dataset_refs r WHERE r.table_name = t.table_name AND r.dataset_id = v.dataset_id
        AND r.resource_id IS NOT DISTINCT FROM v.resource_id AND r.version_id IS NOT DISTINCT FROM v.version_id)

-- name: missing_run
-- Tables of a dataset whose finished run is gone, and with it where their rows came from and when.
SELECT 'table:' || t.table_name AS object, format('No run tells how table %%s.%%s was filled.', t.schema_name, t.table_name) AS cause,
    jsonb_build_object('table_name', t.table_name, 'collection_id', t.stac_collection_id, 'item_id', t.stac_item_id) AS detail,
    false AS automatic
FROM geo.table_catalog t JOIN app.dataset_refs r USING (table_name)
WHERE NOT EXISTS (SELECT FROM app.vector_etl_tracking v WHERE v.table_name = t.table_name AND v.status = 'completed')
