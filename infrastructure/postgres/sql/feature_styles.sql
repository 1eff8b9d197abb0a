-- name: table
-- A catalogued table that the caller may see, and which client's it is.
select t.*, i.content -> 'properties' ->> 'platform:client' as client_id
from geo.table_catalog t
left join pgstac.items i on i.collection = t.stac_collection_id and i.id = t.stac_item_id
where t.table_name = %(table_name)s
  and app.may_see(coalesce(i.content -> 'properties', '{}') || jsonb_build_object('app:published', t.published),
                  %(everything)s, %(client)s, %(published)s);

-- name: lock
-- The table's row, held until the transaction ends: one writer of its styles at a time.
select from geo.table_catalog where table_name = %(collection_id)s for update;

-- name: list
-- A table's styles, the default first.
select * from geo.feature_collection_styles where collection_id = %(collection_id)s order by is_default desc, style_id;

-- name: get
-- One style.
select * from geo.feature_collection_styles where collection_id = %(collection_id)s and style_id = %(style_id)s;

-- name: no_default
-- Another style is to be the default.
update geo.feature_collection_styles set is_default = false, updated_at = clock_timestamp()
where collection_id = %(collection_id)s and style_id <> %(style_id)s and is_default;

-- name: put
-- Add a style or replace it.
insert into geo.feature_collection_styles as s (collection_id, style_id, title, description, style_spec, is_default)
values (%(collection_id)s, %(style_id)s, %(title)s, %(description)s, %(style_spec)s::jsonb, %(is_default)s)
on conflict (collection_id, style_id) do update set
    title = excluded.title, description = excluded.description, style_spec = excluded.style_spec,
    is_default = excluded.is_default, updated_at = clock_timestamp()
returning *;

-- name: delete
-- Remove a style.
delete from geo.feature_collection_styles where collection_id = %(collection_id)s and style_id = %(style_id)s;
