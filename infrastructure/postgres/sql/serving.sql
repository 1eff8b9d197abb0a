-- name: item
-- One hydrated item of a collection, whatever its state.
SELECT pgstac.get_item($1::text, $2::text)

-- name: item_published
-- Whether the item exists and is published.
SELECT EXISTS (
    SELECT FROM pgstac.items
    WHERE collection = $1::text AND id = $2::text
      AND content -> 'properties' -> 'app:published' = 'true'::jsonb
)

-- name: collection_published
-- Whether the collection exists and holds a published item.
SELECT EXISTS (
    SELECT FROM pgstac.items
    WHERE collection = $1::text
      AND content -> 'properties' -> 'app:published' = 'true'::jsonb
)

-- name: published_collections
-- The collections that hold a published item.
SELECT c.id
FROM pgstac.collections AS c
WHERE EXISTS (
    SELECT FROM pgstac.items AS i
    WHERE i.collection = c.id
      AND i.content -> 'properties' -> 'app:published' = 'true'::jsonb
)
ORDER BY c.id

-- name: feature_table
-- One catalogued table with the marks by which a cached description is recognised as stale.
SELECT t.table_name, t.title, t.description, t.published, t.updated_at, c.oid::bigint AS oid, c.xmin::text AS change
FROM geo.table_catalog AS t
JOIN pg_catalog.pg_class AS c
  ON c.relname = t.table_name AND c.relnamespace = 'geo'::regnamespace
WHERE t.schema_name = 'geo' AND t.table_name = $1::text

-- name: feature_tables
-- All catalogued tables, as feature_table has them.
SELECT t.table_name, t.title, t.description, t.published, t.updated_at, c.oid::bigint AS oid, c.xmin::text AS change
FROM geo.table_catalog AS t
JOIN pg_catalog.pg_class AS c
  ON c.relname = t.table_name AND c.relnamespace = 'geo'::regnamespace
WHERE t.schema_name = 'geo'
ORDER BY t.table_name

-- name: blob_of_published_cog
-- Whether the blob is the COG of a published item; container and path are a unique key.
SELECT EXISTS (
    SELECT FROM app.cog_metadata AS m
    JOIN pgstac.items AS i ON i.collection = m.stac_collection_id AND i.id = m.stac_item_id
    WHERE m.container = $1::text AND m.blob_path = $2::text
      AND i.content -> 'properties' -> 'app:published' = 'true'::jsonb
)

-- name: blob_of_published_asset
-- Whether a published item has an asset at this href; reads the published items until it finds one.
SELECT EXISTS (
    SELECT FROM pgstac.items AS i
    WHERE i.content -> 'properties' -> 'app:published' = 'true'::jsonb
      AND i.content @? '$.assets.*.href'
      AND EXISTS (
          SELECT FROM jsonb_each(i.content -> 'assets') AS a
          WHERE a.value ->> 'href' = $1::text
      )
)
