-- Is a stated edge of an extent the measured one? Both are degrees; the last digits differ between versions of PROJ.
CREATE OR REPLACE FUNCTION app.same_edge(p_measured double precision, p_stated double precision) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(abs(p_measured - p_stated) <= 1e-9, false)
$$;

-- A moment as STAC writes it: RFC 3339 in UTC, with fractions only where there are any.
CREATE OR REPLACE FUNCTION app.moment(p_at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT replace(to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')
$$;

-- What an item says but for some of its properties. The hashes are those by which PostgreSQL spreads rows over partitions,
-- so they are the same in every version; a SHA-256 of the document's text takes three times as long.
CREATE OR REPLACE FUNCTION app.item_digest(
    p_content jsonb, p_geometry geometry, p_starts timestamptz, p_ends timestamptz, p_without text[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(concat_ws(' ', jsonb_hash_extended(p_content - 'properties', 0),
        jsonb_hash_extended((p_content -> 'properties') - p_without, 0), extract(epoch FROM p_starts), extract(epoch FROM p_ends),
        ST_AsEWKB(p_geometry)::text), 0)
$$;
