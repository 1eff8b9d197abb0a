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

-- name: of_another
-- Whether an item or a table shows a dataset of another client, or of nobody.
SELECT EXISTS (
    SELECT FROM app.dataset_refs
    WHERE ((stac_collection_id, stac_item_id) = (%(stac_collection_id)s, %(stac_item_id)s) OR table_name = %(table_name)s)
        AND client_id IS DISTINCT FROM %(client_id)s
)

-- name: tables_there
-- Feature tables of these names, whether the public sees them, and whether they show a dataset of another client or of nobody.
SELECT t.table_name, t.published,
    EXISTS (SELECT FROM app.dataset_refs r WHERE r.table_name = t.table_name AND r.client_id IS DISTINCT FROM %(client_id)s)
FROM geo.table_catalog t WHERE t.table_name = ANY (%(tables)s::text[]) ORDER BY t.table_name

-- name: items_there
-- The same of STAC items.
SELECT i.collection, i.id, coalesce((i.content -> 'properties' ->> 'app:published')::boolean, false),
    EXISTS (
        SELECT FROM app.dataset_refs r
        WHERE r.stac_collection_id = i.collection AND r.stac_item_id = i.id AND r.client_id IS DISTINCT FROM %(client_id)s
    )
FROM pgstac.items i JOIN unnest(%(collections)s::text[], %(items)s::text[]) AS w (collection, id) USING (collection, id)
ORDER BY 1, 2
