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

-- name: publications
-- The properties of items that are there already.
SELECT id, content -> 'properties' FROM pgstac.items WHERE collection = %(collection_id)s AND id = ANY (%(ids)s)

-- name: delete_items
-- Remove items, whichever partition they are in.
DELETE FROM pgstac.items WHERE collection = %(collection_id)s AND id = ANY (%(ids)s)

-- name: create_items
-- Add items.
SELECT pgstac.create_items(%(items)s::jsonb)

-- name: note_digests
-- Remember what was written, so that a comparison sees what others write. pgSTAC shows `private` to nobody.
UPDATE pgstac.items
SET private = jsonb_build_object('digest', app.item_digest(content, geometry, datetime, end_datetime, %(later)s))
WHERE collection = %(collection_id)s AND id = ANY (%(ids)s)

-- name: cogs
-- The COGs of a collection's items.
SELECT app.cog_href(content) FROM pgstac.items WHERE collection = %(collection_id)s AND app.cog_href(content) IS NOT NULL

-- name: members
-- The items of a collection that have a COG.
SELECT id, content -> 'bbox', app.cog_href(content), (content -> 'properties' -> 'proj:shape' ->> 1)::int
FROM pgstac.items WHERE collection = %(collection_id)s AND app.cog_href(content) IS NOT NULL

-- name: register_mosaic
-- Remember the search for what is published of a collection.
SELECT app.register_mosaic(%(collection_id)s)

-- name: mosaic_id
-- The id that search has, remembered or not.
SELECT pgstac.search_hash(app.mosaic_search(%(collection_id)s), app.mosaic_metadata(%(collection_id)s))

-- name: known
-- What the tables add to an item: its countries, and how its COG may be drawn.
SELECT app.countries(ST_SetSRID(ST_GeomFromGeoJSON(%(geometry)s), 4326)), app.renders_of(%(collection_id)s, %(item_id)s)

-- name: show_renders
-- Copy how a COG may be drawn into its item.
UPDATE pgstac.items
SET content = jsonb_set(content, '{properties,renders}', app.renders_of(collection, id))
WHERE id = %(item_id)s AND collection = %(collection_id)s AND app.renders_of(collection, id) IS NOT NULL
