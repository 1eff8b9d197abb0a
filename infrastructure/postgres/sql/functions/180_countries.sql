-- The table of the world's countries, when one is published: the one whose catalogue row says system_role
-- admin0_boundaries, else curated_admin0.
CREATE OR REPLACE FUNCTION app.admin0_table() RETURNS TABLE (table_name text, geometry_column text) LANGUAGE sql STABLE AS $$
    SELECT t.table_name::text, t.primary_geometry::text
    FROM geo.table_catalog t
    WHERE t.published AND t.srid = 4326 AND t.schema_name = 'geo'
        AND (t.custom_properties ->> 'system_role' = 'admin0_boundaries' OR t.table_name = 'curated_admin0')
        AND EXISTS (SELECT FROM pg_class c WHERE c.relname = t.table_name AND c.relnamespace::regnamespace::text = t.schema_name)
    ORDER BY t.custom_properties ->> 'system_role' = 'admin0_boundaries' DESC NULLS LAST, t.table_name
    LIMIT 1
$$;

-- The first of a row's columns that holds a word of the given form.
CREATE OR REPLACE FUNCTION app.first_word(p_row jsonb, p_columns text[], p_form text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT p_row ->> c.name FROM unnest(p_columns) WITH ORDINALITY AS c (name, place)
    WHERE p_row ->> c.name ~ p_form ORDER BY c.place LIMIT 1
$$;

-- The geo:* properties of an area in EPSG:4326: countries it shares ground with, and the one it belongs to most.
-- Without a table of countries, or outside all of them: {}.
CREATE OR REPLACE FUNCTION app.countries(p_area geometry) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_table text;
    v_column text;
    v_area geometry := CASE WHEN ST_IsValid(p_area) THEN p_area ELSE ST_MakeValid(p_area) END;
    v_found jsonb;
BEGIN
    SELECT a.table_name, a.geometry_column INTO v_table, v_column FROM app.admin0_table() a;
    IF v_table IS NULL THEN
        RETURN '{}'::jsonb;
    END IF;
    -- Sources name their columns differently, and Natural Earth writes -99 where it has no code.
    EXECUTE format($query$
        WITH met AS (
            SELECT app.first_word(r.content, ARRAY['iso3', 'iso_a3', 'iso_a3_eh', 'adm0_a3', 'gid_0', 'shapegroup'], '^[A-Z]{3}$') AS iso3,
                app.first_word(r.content, ARRAY['name_en', 'name', 'admin', 'name_long', 'country', 'shapename'], '.') AS name,
                ST_Contains(t.%1$I, ST_Centroid($1)) AS centred
            FROM geo.%2$I t CROSS JOIN LATERAL (SELECT to_jsonb(t) - %1$L AS content) r
            WHERE ST_Intersects(t.%1$I, $1) AND NOT ST_Touches(t.%1$I, $1)
        ), named AS (SELECT m.iso3, min(m.name) AS name, bool_or(m.centred) AS centred FROM met m WHERE m.iso3 IS NOT NULL GROUP BY m.iso3)
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'geo:iso3', jsonb_agg(n.iso3 ORDER BY n.iso3),
            'geo:countries', jsonb_agg(n.name ORDER BY n.iso3),
            'geo:primary_iso3', (array_agg(n.iso3 ORDER BY n.centred DESC, n.iso3))[1],
            'geo:attribution_method', CASE WHEN bool_or(n.centred) THEN 'centroid' ELSE 'first_intersect' END
        )) FROM named n HAVING count(*) > 0
    $query$, v_column, v_table) INTO v_found USING v_area;
    RETURN coalesce(v_found, '{}'::jsonb);
END $$;
