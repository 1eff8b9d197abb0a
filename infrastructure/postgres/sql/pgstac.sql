-- name: lock_collection
-- One writer per collection at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(7073, hashtext(%(collection_id)s))

-- name: collection
-- A collection's document.
SELECT content FROM pgstac.collections WHERE id = %(collection_id)s

-- name: create_collection
-- Add a collection.
SELECT pgstac.create_collection(%(content)s::jsonb)

-- name: update_collection
-- Replace a collection's document.
SELECT pgstac.update_collection(%(content)s::jsonb)

-- name: item
-- A whole item.
SELECT pgstac.get_item(%(item_id)s, %(collection_id)s)

-- name: delete_item
-- Remove an item, whichever partition it is in.
DELETE FROM pgstac.items WHERE id = %(item_id)s AND collection = %(collection_id)s

-- name: create_item
-- Add an item.
SELECT pgstac.create_item(%(content)s::jsonb)

-- name: count_item
-- How often an item is there; once, when all is well.
SELECT count(*) FROM pgstac.items WHERE id = %(item_id)s AND collection = %(collection_id)s

-- name: known
-- What the tables add to an item: its countries, and how its COG may be drawn.
SELECT app.countries(ST_SetSRID(ST_GeomFromGeoJSON(%(geometry)s), 4326)), app.renders_of(%(collection_id)s, %(item_id)s)

-- name: show_renders
-- Copy how a COG may be drawn into its item.
UPDATE pgstac.items
SET content = jsonb_set(content, '{properties,renders}', app.renders_of(collection, id))
WHERE id = %(item_id)s AND collection = %(collection_id)s AND app.renders_of(collection, id) IS NOT NULL

-- name: merge_properties
-- Set some properties of an item where it lies; its datetime must not be among them.
UPDATE pgstac.items
SET content = jsonb_set(content, '{properties}', (content -> 'properties') || %(properties)s::jsonb)
WHERE id = %(item_id)s AND collection = %(collection_id)s
