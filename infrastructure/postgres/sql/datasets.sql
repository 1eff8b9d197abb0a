-- name: items
-- What shows a dataset in the catalogue, as far as the caller may see it, by resource, version and item.
SELECT r.stac_collection_id, r.stac_item_id, r.dataset_id, r.resource_id, r.version_id, r.data_type::text AS data_type, r.cog_id,
    r.table_name, r.etl_job_id, i.content -> 'properties' -> 'app:published' = 'true'::jsonb AS published,
    i.content -> 'properties' ->> 'platform:access_level' AS access_level,
    ARRAY[ST_XMin(i.geometry), ST_YMin(i.geometry), ST_XMax(i.geometry), ST_YMax(i.geometry)] AS bbox,
    i.datetime AS start_datetime, i.end_datetime, r.updated_at
FROM app.dataset_refs r JOIN pgstac.items i ON i.collection = r.stac_collection_id AND i.id = r.stac_item_id
WHERE r.dataset_id = %(dataset_id)s
    AND (%(resource_id)s::text IS NULL OR r.resource_id = %(resource_id)s)
    AND (%(version_id)s::text IS NULL OR r.version_id = %(version_id)s)
    AND (%(data_type)s::text IS NULL OR r.data_type::text = %(data_type)s)
    AND app.may_see(i.content -> 'properties', %(everything)s, %(client_id)s, %(published)s)
    AND (coalesce(r.resource_id, ''), coalesce(r.version_id, ''), r.stac_collection_id, r.stac_item_id)
        > (%(after_resource)s, %(after_version)s, %(after_collection)s, %(after_item)s)
ORDER BY coalesce(r.resource_id, ''), coalesce(r.version_id, ''), r.stac_collection_id, r.stac_item_id LIMIT %(limit)s

-- name: item
-- One whole item, if the caller may see it.
SELECT pgstac.get_item(%(item_id)s, %(collection_id)s)
WHERE EXISTS (
    SELECT FROM pgstac.items i WHERE i.id = %(item_id)s AND i.collection = %(collection_id)s
        AND app.may_see(i.content -> 'properties', %(everything)s, %(client_id)s, NULL)
)

-- name: outputs
-- What a job left in the catalogue: COGs with their files, tables with their rows.
SELECT r.stac_collection_id, r.stac_item_id, r.data_type::text AS data_type, r.cog_id, c.container, c.blob_path, c.checksum,
    c.size_bytes, r.table_name, t.feature_count, t.geometry_type, v.rows_read, v.rows_written, v.rows_skipped,
    coalesce(c.findings, v.findings, '[]'::jsonb) AS findings
FROM app.dataset_refs r
LEFT JOIN app.cog_metadata c ON c.cog_id = r.cog_id
LEFT JOIN geo.table_catalog t ON t.table_name = r.table_name
LEFT JOIN app.vector_etl_tracking v ON v.table_name = r.table_name AND v.etl_job_id = r.etl_job_id
WHERE r.etl_job_id = %(job_id)s
ORDER BY r.stac_collection_id, r.stac_item_id LIMIT %(limit)s

-- name: reviews
-- Every review of what a job made, oldest first.
SELECT approval_id, revision, status::text AS status, reviewer, reviewed_at, revoked_at, superseded_by, created_at
FROM app.dataset_approvals WHERE job_id = %(job_id)s ORDER BY created_at, approval_id

-- name: runs
-- Every run of a job, oldest first, with how long each stage took.
SELECT j.run, j.status::text AS status, j.created_at, j.started_at, j.finished_at, j.error_code, j.error_message,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object('stage', s.stage, 'name', s.name, 'status', s.status, 'tasks', s.expected,
            'failed', s.failed, 'seconds', extract(epoch FROM s.finished_at - s.started_at)) ORDER BY s.stage)
        FROM app.stages s WHERE s.job_key = j.job_key
    ), '[]'::jsonb) AS stages
FROM app.jobs j WHERE j.job_id = %(job_id)s ORDER BY j.run LIMIT 100

-- name: targets
-- What can be taken out of the catalogue: items with the table behind them, and tables that have no item.
SELECT DISTINCT ON (f.collection_id, f.item_id, f.table_name) f.*
FROM (
    SELECT i.collection AS collection_id, i.id AS item_id, t.table_name, i.content -> 'properties' ->> 'platform:client' AS client_id,
        coalesce(i.content -> 'properties' -> 'app:published' = 'true'::jsonb, false) AS published, r.dataset_id, r.resource_id,
        r.version_id, r.etl_job_id
    FROM pgstac.items i
    LEFT JOIN geo.table_catalog t ON t.stac_collection_id = i.collection AND t.stac_item_id = i.id
    LEFT JOIN app.dataset_refs r ON r.stac_collection_id = i.collection AND r.stac_item_id = i.id
    UNION ALL
    SELECT t.stac_collection_id, t.stac_item_id, t.table_name, NULL, t.published, NULL, NULL, NULL, NULL
    FROM geo.table_catalog t
    WHERE NOT EXISTS (SELECT FROM pgstac.items i WHERE i.collection = t.stac_collection_id AND i.id = t.stac_item_id)
) AS f
WHERE {condition}
ORDER BY f.collection_id, f.item_id, f.table_name LIMIT 1001

-- name: targets_of_job
-- Made by a job.
f.etl_job_id = %(job_id)s

-- name: targets_of_dataset
-- Of a dataset version.
f.dataset_id = %(dataset_id)s AND f.resource_id = %(resource_id)s AND f.version_id = %(version_id)s

-- name: targets_of_table
-- Shown from a table.
f.table_name = %(table_name)s

-- name: targets_of_item
-- One item.
f.collection_id = %(collection_id)s AND f.item_id = %(item_id)s

-- name: targets_of_collection
-- Every item of a collection.
f.collection_id = %(collection_id)s
