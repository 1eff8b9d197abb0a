-- name: upsert
-- Describe a COG, or describe it again.
INSERT INTO app.cog_metadata AS c
SELECT (jsonb_populate_record(NULL::app.cog_metadata, %(record)s::jsonb || jsonb_build_object(
    'created_at', clock_timestamp(), 'updated_at', clock_timestamp()))).*
ON CONFLICT (cog_id) DO UPDATE SET ({columns}) = ROW ({values})
