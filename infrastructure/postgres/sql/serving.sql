-- name: item
-- One hydrated item of a collection, if the caller may see it; a draft beside what is published has its artifact's id.
SELECT pgstac.get_item($1::text, $2::text)
WHERE EXISTS (
    SELECT FROM pgstac.items
    WHERE id = $1::text AND collection = $2::text AND app.may_see(content -> 'properties', $3::boolean, $4::text, $5::boolean)
)
UNION ALL
SELECT d.content FROM app.draft_items AS d
WHERE d.artifact_id = $1::text AND d.collection = $2::text
  AND app.may_see(d.content -> 'properties', $3::boolean, $4::text, $5::boolean)
LIMIT 1

-- name: item_visible
-- Whether the item exists and the caller may see it.
SELECT EXISTS (
    SELECT FROM pgstac.items
    WHERE collection = $1::text AND id = $2::text AND app.may_see(content -> 'properties', $3::boolean, $4::text, $5::boolean)
)

-- name: collection_visible
-- Whether the collection exists and holds an item that the caller may see.
SELECT EXISTS (
    SELECT FROM pgstac.items
    WHERE collection = $1::text AND app.may_see(content -> 'properties', $2::boolean, $3::text, $4::boolean)
)

-- name: visible_collections
-- The collections that hold an item that the caller may see.
SELECT c.id
FROM pgstac.collections AS c
WHERE EXISTS (
    SELECT FROM pgstac.items AS i
    WHERE i.collection = c.id AND app.may_see(i.content -> 'properties', $1::boolean, $2::text, $3::boolean)
)
ORDER BY c.id

-- name: collection_shown
-- One of a collection's COGs that the caller may see, as an item, and the extent of all of them; no row where there is none.
SELECT pgstac.get_item(f.model, $1::text) AS model, ST_XMin(f.extent) AS west, ST_YMin(f.extent) AS south,
    ST_XMax(f.extent) AS east, ST_YMax(f.extent) AS north
FROM (
    SELECT min(id) AS model, ST_Extent(geometry) AS extent FROM pgstac.items
    WHERE collection = $1::text AND app.cog_href(content) IS NOT NULL
        AND app.may_see(content -> 'properties', $2::boolean, $3::text, $4::boolean)
) f
WHERE f.model IS NOT NULL

-- name: collection_cogs
-- The collection's COGs in a box that the caller may see, as items, the latest first.
SELECT pgstac.get_item(id, collection) AS item FROM pgstac.items
WHERE collection = $1::text AND app.cog_href(content) IS NOT NULL
    AND app.may_see(content -> 'properties', $2::boolean, $3::text, $4::boolean)
    AND ST_Intersects(geometry, ST_MakeEnvelope($5::float, $6::float, $7::float, $8::float, 4326))
ORDER BY datetime DESC, id LIMIT $9::int

-- name: readable_datasets
-- The datasets whose restricted data a client may see although they are not its own.
SELECT dataset_id FROM app.dataset_readers WHERE client_id = $1::text ORDER BY dataset_id

-- name: feature_table
-- One catalogued table that the caller may see, or one that waits beside a published one, with the marks by which a cached
-- description is recognised as stale. Whose it is and whom it is for says its STAC item.
SELECT t.table_name, t.title, t.description, t.tile_view, t.updated_at, c.oid::bigint AS oid, c.xmin::text AS change
FROM geo.table_catalog AS t
JOIN pg_catalog.pg_class AS c
  ON c.relname = t.table_name AND c.relnamespace = 'geo'::regnamespace
LEFT JOIN pgstac.items AS i ON i.collection = t.stac_collection_id AND i.id = t.stac_item_id
WHERE t.schema_name = 'geo' AND t.table_name = $1::text
  AND app.may_see(
      coalesce(i.content -> 'properties', '{}') || jsonb_build_object('app:published', t.published),
      $2::boolean, $3::text, $4::boolean)
UNION ALL
SELECT d.staging, d.title, d.description, NULL, d.created_at, c.oid::bigint, c.xmin::text
FROM app.draft_tables AS d
JOIN app.draft_items AS i ON i.artifact_id = d.artifact_id
JOIN pg_catalog.pg_class AS c ON c.relname = d.staging AND c.relnamespace = 'geo'::regnamespace
WHERE $1::text LIKE '%\_\_stg\_h%'  -- the mark of what waits; every other name is done with above
  AND d.staging = $1::text AND app.may_see(i.content -> 'properties', $2::boolean, $3::text, $4::boolean)
LIMIT 1

-- name: feature_tables
-- All catalogued tables that the caller may see, as feature_table has them.
SELECT t.table_name, t.title, t.description, t.tile_view, t.updated_at, c.oid::bigint AS oid, c.xmin::text AS change
FROM geo.table_catalog AS t
JOIN pg_catalog.pg_class AS c
  ON c.relname = t.table_name AND c.relnamespace = 'geo'::regnamespace
LEFT JOIN pgstac.items AS i ON i.collection = t.stac_collection_id AND i.id = t.stac_item_id
WHERE t.schema_name = 'geo'
  AND app.may_see(
      coalesce(i.content -> 'properties', '{}') || jsonb_build_object('app:published', t.published),
      $1::boolean, $2::text, $3::boolean)
ORDER BY t.table_name

-- name: blob_of_visible_cog
-- Whether the blob is the COG of an item that the caller may see; container and path are a unique key.
SELECT EXISTS (
    SELECT FROM app.cog_metadata AS m
    JOIN pgstac.items AS i ON i.collection = m.stac_collection_id AND i.id = m.stac_item_id
    WHERE m.container = $1::text AND m.blob_path = $2::text
      AND app.may_see(i.content -> 'properties', $3::boolean, $4::text, $5::boolean)
)

-- name: blob_of_visible_asset
-- Whether an item that the caller may see has an asset at this href; reads such items until it finds one.
SELECT EXISTS (
    SELECT FROM pgstac.items AS i
    WHERE app.may_see(i.content -> 'properties', $2::boolean, $3::text, $4::boolean)
      AND i.content @? '$.assets.*.href'
      AND EXISTS (
          SELECT FROM jsonb_each(i.content -> 'assets') AS a
          WHERE a.value ->> 'href' = $1::text
      )
)

-- name: blob_of_visible_collection
-- Whether a collection has an asset at this href and the caller may see all of its items: a mosaic names every one.
SELECT EXISTS (
    SELECT FROM pgstac.collections AS c, jsonb_each(coalesce(c.content -> 'assets', '{}')) AS a
    WHERE a.value ->> 'href' = $1::text
      AND EXISTS (SELECT FROM pgstac.items AS i WHERE i.collection = c.id)
      AND NOT EXISTS (
          SELECT FROM pgstac.items AS i
          WHERE i.collection = c.id AND NOT app.may_see(i.content -> 'properties', $2::boolean, $3::text, $4::boolean)
      )
)
