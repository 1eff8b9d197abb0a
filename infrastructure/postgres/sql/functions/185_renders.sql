-- How an item's COG may be drawn, as STAC's render extension has it: the stored configurations by name, and `default`,
-- which is the default one among them or else what the pipeline saw fit. Those that ask for bands the COG no longer
-- has are left out. NULL for an item without a COG.
CREATE OR REPLACE FUNCTION app.renders_of(p_collection text, p_item text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('default', c.default_render))
        || coalesce(jsonb_object_agg(r.render_id, r.render_spec) FILTER (WHERE r.render_id IS NOT NULL), '{}')
        || coalesce(jsonb_object_agg('default', r.render_spec) FILTER (WHERE r.is_default), '{}')
    FROM app.cog_metadata c
    LEFT JOIN app.raster_render_configs r ON r.cog_id = c.cog_id AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(coalesce(r.render_spec -> 'bidx', '[]')) b WHERE b::text::int > c.band_count
    )
    WHERE c.stac_collection_id = p_collection AND c.stac_item_id = p_item
    GROUP BY c.cog_id
$$;
