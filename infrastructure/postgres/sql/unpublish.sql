-- name: raster
-- What there is of a raster; no row when there is nothing.
WITH item AS (
    SELECT content FROM pgstac.items
    WHERE collection = %(collection_id)s AND id = %(item_id)s AND app.cog_href(content) IS NOT NULL
), cog AS (
    SELECT * FROM app.cog_metadata WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s
)
SELECT (SELECT cog_id FROM cog) AS cog_id, EXISTS (SELECT FROM item) AS item,
    EXISTS (
        SELECT FROM item WHERE content -> 'properties' -> 'app:published' = 'true'::jsonb
    ) OR EXISTS (
        SELECT FROM app.approval_items a
        WHERE a.stac_collection_id = %(collection_id)s AND a.stac_item_id = %(item_id)s AND a.state = 'published'
    ) AS approved,
    ARRAY(
        SELECT a.value ->> 'href' FROM item, jsonb_each(item.content -> 'assets') a UNION SELECT cog_url FROM cog
        UNION SELECT o ->> 'cog_url' FROM cog, jsonb_array_elements(coalesce(nullif(cog.other_cogs, 'null'), '[]')) o
    ) AS hrefs,
    (SELECT count(*) FROM app.raster_render_configs r JOIN cog ON cog.cog_id = r.cog_id) AS renders,
    (SELECT count(*) FROM app.dataset_refs r WHERE r.stac_collection_id = %(collection_id)s AND r.stac_item_id = %(item_id)s) AS dataset_refs,
    (SELECT count(*) FROM pgstac.items WHERE collection = %(collection_id)s AND id <> %(item_id)s) AS other_items
WHERE EXISTS (SELECT FROM item) OR EXISTS (SELECT FROM cog)

-- name: is_approved
-- Whether the public sees an item, or a review that has not been revoked let it.
SELECT EXISTS (
    SELECT FROM pgstac.items i WHERE i.collection = %(collection_id)s AND i.id = %(item_id)s
        AND i.content -> 'properties' -> 'app:published' = 'true'::jsonb
) OR EXISTS (
    SELECT FROM app.approval_items a
    WHERE a.stac_collection_id = %(collection_id)s AND a.stac_item_id = %(item_id)s AND a.state = 'published'
)

-- name: delete_cog
-- Forget a COG; its renders and dataset references go with it.
DELETE FROM app.cog_metadata WHERE stac_collection_id = %(collection_id)s AND stac_item_id = %(item_id)s

-- name: withdraw_item
-- No review speaks of an item that is removed.
SELECT app.withdraw_item(%(collection_id)s, %(item_id)s, %(by)s, %(reason)s)

-- name: left
-- What the items of a collection make of it: how many, extent, and every value of some properties.
SELECT count(*), jsonb_build_array(
        min(CASE WHEN (content -> 'bbox' ->> 0)::float > (content -> 'bbox' ->> 2)::float THEN -180 ELSE (content -> 'bbox' ->> 0)::float END),
        min((content -> 'bbox' ->> 1)::float),
        max(CASE WHEN (content -> 'bbox' ->> 0)::float > (content -> 'bbox' ->> 2)::float THEN 180 ELSE (content -> 'bbox' ->> 2)::float END),
        max((content -> 'bbox' ->> 3)::float)),
    jsonb_build_array(to_char(min(datetime) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        to_char(max(end_datetime) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
    (SELECT coalesce(jsonb_object_agg(n, v), '{}') FROM (
        SELECT n, jsonb_agg(DISTINCT i.content -> 'properties' -> n) AS v
        FROM unnest(%(names)s::text[]) n, pgstac.items i
        WHERE i.collection = %(collection_id)s AND i.content -> 'properties' -> n IS NOT NULL GROUP BY n
    ) listed)
FROM pgstac.items WHERE collection = %(collection_id)s

-- name: is_empty
-- Whether a collection is there and has no items.
SELECT EXISTS (SELECT FROM pgstac.collections WHERE id = %(collection_id)s)
    AND NOT EXISTS (SELECT FROM pgstac.items WHERE collection = %(collection_id)s)

-- name: delete_collection
-- Remove a collection. It drops tables, so no other query may run in the same statement.
SELECT pgstac.delete_collection(%(collection_id)s)

-- name: cataloged
-- Which of these files are COGs of the catalogue, and whose.
SELECT p.path, o.item FROM unnest(%(paths)s::text[]) AS p (path), app.owners_of_file(%(container)s, p.path) o
