-- Is a client on the list of those who see a dataset's restricted data?
CREATE OR REPLACE FUNCTION app.is_reader(p_dataset_id text, p_client text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM app.dataset_readers r WHERE r.dataset_id = p_dataset_id AND r.client_id = p_client)
$$;

-- May a caller see a STAC item? All may see what is published and public; a partner also what is its client's, and published
-- restricted data of datasets whose reader it is; reviewers and admins everything. `p_published` is the state asked for, null for
-- any. One expression, so that the planner takes it into the query.
CREATE OR REPLACE FUNCTION app.may_see(p_properties jsonb, p_everything boolean, p_client text, p_published boolean) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (p_published IS NULL OR coalesce(p_properties -> 'app:published' = 'true'::jsonb, false) = p_published)
        AND (
            p_everything
            OR (p_properties -> 'app:published' = 'true'::jsonb AND p_properties ->> 'platform:access_level' = 'public')
            OR p_properties ->> 'platform:client' = p_client
            OR (p_client IS NOT NULL AND p_properties -> 'app:published' = 'true'::jsonb
                AND p_properties ->> 'platform:access_level' = 'restricted'
                AND app.is_reader(p_properties ->> 'platform:dataset_id', p_client))
        ), false)
$$;
