-- name: upsert
-- Describe a COG, or describe it again.
INSERT INTO app.cog_metadata AS c
SELECT (jsonb_populate_record(NULL::app.cog_metadata, %(record)s::jsonb || jsonb_build_object(
    'created_at', clock_timestamp(), 'updated_at', clock_timestamp()))).*
ON CONFLICT (cog_id) DO UPDATE SET ({columns}) = ROW ({values})

-- name: other_owner
-- Another COG's row that claims the same file.
SELECT cog_id FROM app.cog_metadata
WHERE container = %(container)s AND blob_path = %(blob_path)s AND cog_id <> %(cog_id)s
