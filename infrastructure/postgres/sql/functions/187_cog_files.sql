-- Whose COG a file is: that of an item, or one of its other tiers.
CREATE OR REPLACE FUNCTION app.owners_of_file(p_container text, p_path text) RETURNS TABLE (cog_id text, item text) LANGUAGE sql STABLE AS $$
    SELECT c.cog_id::text, c.stac_collection_id || '/' || c.stac_item_id
    FROM app.cog_metadata c WHERE c.container = p_container AND c.blob_path = p_path
    UNION ALL
    SELECT c.cog_id::text, c.stac_collection_id || '/' || c.stac_item_id
    FROM app.cog_metadata c
    WHERE c.other_cogs @> jsonb_build_array(jsonb_build_object('container', p_container, 'blob_path', p_path))
$$;

-- The COG that an item shows; NULL for an item of something else, such as a table.
CREATE OR REPLACE FUNCTION app.cog_href(p_content jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT d ->> 'href' FROM (SELECT p_content -> 'assets' -> 'data') AS a (d) WHERE d ->> 'type' LIKE 'image/tiff%'
$$;
