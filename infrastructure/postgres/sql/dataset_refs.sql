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
