-- The search that shows a collection's published items as one picture.
CREATE OR REPLACE FUNCTION app.mosaic_search(p_collection_id text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('collections', jsonb_build_array(p_collection_id), 'filter-lang', 'cql2-json',
        'filter', '{"op": "=", "args": [{"property": "app:published"}, true]}'::jsonb);
$$;

-- What tile servers want to know of it. Part of its id, so nothing here may change while the collection grows.
CREATE OR REPLACE FUNCTION app.mosaic_metadata(p_collection_id text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('type', 'mosaic', 'name', p_collection_id);
$$;

-- Remember that search; its id, which depends on the collection's name alone. pgSTAC looks for its own by search path.
CREATE OR REPLACE FUNCTION app.register_mosaic(p_collection_id text) RETURNS text LANGUAGE plpgsql SET search_path = pgstac, public AS $$
DECLARE
    v_found pgstac.searches;
BEGIN
    SELECT * INTO v_found FROM pgstac.search_query(app.mosaic_search(p_collection_id), false, app.mosaic_metadata(p_collection_id));
    RETURN v_found.hash;
END $$;
