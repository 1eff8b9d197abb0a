-- name: one_look
-- Nothing changes while the evidence is gathered.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: items
-- What a review covers.
SELECT stac_collection_id, stac_item_id, state::text FROM app.approval_items WHERE approval_id = %(approval_id)s ORDER BY 1, 2 LIMIT %(limit)s

-- name: artifact
-- The revision that a review is about.
SELECT * FROM app.artifacts
WHERE approval_id = %(approval_id)s AND stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s
ORDER BY revision DESC LIMIT 1

-- name: cog
-- The row of an item's COG.
SELECT * FROM app.cog_metadata WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s LIMIT 1

-- name: table
-- The catalogue row of an item's table.
SELECT * FROM geo.table_catalog WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s LIMIT 1

-- name: tracking
-- The run that filled it.
SELECT v.* FROM app.vector_etl_tracking v JOIN geo.table_catalog c ON c.table_name = v.table_name
WHERE c.stac_collection_id = %(collection_id)s AND c.stac_item_id = %(item_id)s AND v.status = 'completed'
ORDER BY v.processing_completed_at DESC NULLS LAST LIMIT 1
