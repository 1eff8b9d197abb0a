-- May a caller see a STAC item? All may see what is published and public; a partner also what is its client's; reviewers and
-- admins everything. `p_published` is the state asked for, null for any. One expression, so that the planner takes it into the query.
CREATE OR REPLACE FUNCTION app.may_see(p_properties jsonb, p_everything boolean, p_client text, p_published boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (p_published IS NULL OR coalesce(p_properties -> 'app:published' = 'true'::jsonb, false) = p_published)
        AND (
            p_everything
            OR (p_properties -> 'app:published' = 'true'::jsonb AND p_properties ->> 'platform:access_level' = 'public')
            OR p_properties ->> 'platform:client' = p_client
        ), false)
$$;
