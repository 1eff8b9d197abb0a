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

-- name: merge_properties
-- Set some properties of an item where it lies; its datetime must not be among them.
UPDATE pgstac.items
SET content = jsonb_set(content, '{properties}', (content -> 'properties') || %(properties)s::jsonb)
WHERE id = %(item_id)s AND collection = %(collection_id)s
