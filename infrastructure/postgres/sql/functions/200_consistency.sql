-- Is a stated edge of an extent the measured one? Both are degrees; the last digits differ between versions of PROJ.
CREATE OR REPLACE FUNCTION app.same_edge(p_measured double precision, p_stated double precision) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(abs(p_measured - p_stated) <= 1e-9, false)
$$;

-- A moment as STAC writes it: RFC 3339 in UTC, with fractions only where there are any.
CREATE OR REPLACE FUNCTION app.moment(p_at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT replace(to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')
$$;
