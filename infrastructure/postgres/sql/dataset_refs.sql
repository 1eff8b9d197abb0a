-- name: upsert
-- Say which dataset version an item shows.
INSERT INTO app.dataset_refs AS r (
    stac_collection_id, stac_item_id, dataset_id, resource_id, version_id, client_id, data_type, cog_id, table_name,
    etl_job_id
) VALUES (
    %(stac_collection_id)s, %(stac_item_id)s, %(dataset_id)s, %(resource_id)s, %(version_id)s, %(client_id)s,
    %(data_type)s, %(cog_id)s, %(table_name)s, %(etl_job_id)s
)
ON CONFLICT (stac_collection_id, stac_item_id) DO UPDATE SET
    dataset_id = excluded.dataset_id, resource_id = excluded.resource_id, version_id = excluded.version_id,
    client_id = excluded.client_id, data_type = excluded.data_type, cog_id = excluded.cog_id,
    table_name = excluded.table_name, etl_job_id = excluded.etl_job_id, updated_at = clock_timestamp()

-- name: of_dataset
-- What belongs to a dataset, in order; with a client, only what was submitted for it.
SELECT r.stac_collection_id, r.stac_item_id, r.dataset_id, r.resource_id, r.version_id, r.client_id,
    r.data_type::text AS data_type, r.cog_id, r.table_name, r.etl_job_id, r.created_at, r.updated_at,
    coalesce((
        SELECT i.content -> 'properties' -> 'app:published' = 'true'::jsonb FROM pgstac.items i
        WHERE i.collection = r.stac_collection_id AND i.id = r.stac_item_id
    ), false) AS published
FROM app.dataset_refs r
WHERE r.dataset_id = %(dataset_id)s
    AND (%(resource_id)s::text IS NULL OR r.resource_id = %(resource_id)s)
    AND (%(version_id)s::text IS NULL OR r.version_id = %(version_id)s)
    AND (%(data_type)s::text IS NULL OR r.data_type::text = %(data_type)s)
    AND (%(client_id)s::text IS NULL OR r.client_id = %(client_id)s)
ORDER BY r.resource_id, r.version_id, r.stac_collection_id, r.stac_item_id
LIMIT %(limit)s OFFSET %(offset)s
