-- name: upsert
-- Describe a COG, or describe it again.
INSERT INTO app.cog_metadata AS c
SELECT r.* FROM jsonb_populate_record(NULL::app.cog_metadata, %(record)s::jsonb || jsonb_build_object(
    'created_at', clock_timestamp(), 'updated_at', clock_timestamp())) AS r
ON CONFLICT (cog_id) DO UPDATE SET ({columns}) = ROW ({values})

-- name: other_owner
-- Another COG's row that claims the same file.
SELECT cog_id FROM app.owners_of_file(%(container)s, %(blob_path)s) WHERE cog_id <> %(cog_id)s

-- name: one
-- The row of a COG.
SELECT * FROM app.cog_metadata WHERE cog_id = %(cog_id)s

-- name: of_item
-- The row of an item's COG.
SELECT * FROM app.cog_metadata WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s

-- name: renders
-- A COG's named renders, in order.
SELECT * FROM app.raster_render_configs WHERE cog_id = %(cog_id)s ORDER BY render_id

-- name: render
-- One named render.
SELECT * FROM app.raster_render_configs WHERE cog_id = %(cog_id)s AND render_id = %(render_id)s

-- name: no_default
-- No render of the COG is its default any more.
UPDATE app.raster_render_configs SET is_default = false, updated_at = clock_timestamp()
WHERE cog_id = %(cog_id)s AND is_default AND render_id <> %(render_id)s

-- name: put_render
-- Write a named render; whether it is new.
INSERT INTO app.raster_render_configs AS r (cog_id, render_id, title, description, render_spec, is_default, created_by)
VALUES (%(cog_id)s, %(render_id)s, %(title)s, %(description)s, %(render_spec)s, %(is_default)s, %(created_by)s)
ON CONFLICT (cog_id, render_id) DO UPDATE SET title = excluded.title, description = excluded.description,
    render_spec = excluded.render_spec, is_default = excluded.is_default, updated_at = clock_timestamp()
RETURNING *

-- name: delete_render
-- Forget a named render.
DELETE FROM app.raster_render_configs WHERE cog_id = %(cog_id)s AND render_id = %(render_id)s
