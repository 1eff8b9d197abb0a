-- name: rows
-- The rows of one table.
select * from {table}

-- name: joined_rows
-- The rows of a table and those that shall join it.
select {columns} from {live} union all select {columns} from {staging}

-- name: merged_rows
-- The rows of a table, with those of the same key replaced and the others added.
select {columns} from {live} l where not exists (select from {staging} s where {match})
union all
select {columns} from {staging}

-- name: facts
-- Count and extent in one scan.
select count(*),
       st_xmin(st_extent(geom)), st_ymin(st_extent(geom)), st_xmax(st_extent(geom)), st_ymax(st_extent(geom))
from ({rows}) r;

-- name: geometry_types
-- The types that a column of any geometry holds.
select distinct st_geometrytype(geom) from ({rows}) r order by 1;

-- name: temporal_extent
-- First and last moment of a date or time column, as ISO 8601.
select to_json(min({column})::timestamptz) #>> '{{}}', to_json(max({column})::timestamptz) #>> '{{}}'
from ({rows}) r;

-- name: utc
-- Times without zone are taken as UTC in this transaction.
set local timezone = 'UTC';

-- name: null_keys
-- Features without a key.
select id from {table} where {empty} order by id limit %(limit)s;

-- name: double_keys
-- Features that share a key.
select (array_agg(id order by id))[1:5] from {table} group by {columns} having count(*) > 1
order by min(id) limit %(limit)s;

-- name: frequent_values
-- The values of a column, the most frequent first.
select v from (select {column} as v from {table} where {column} is not null limit %(sample)s) s
group by v order by count(*) desc, v limit %(limit)s;

-- name: quantiles
-- Where classes of equally many rows begin and end.
select percentile_disc(%(fractions)s::double precision[]) within group (order by v)
from (select {column}::double precision as v from {table} where {column} is not null limit %(sample)s) s
where v <> 'NaN' and abs(v) < 'infinity';

-- name: columns
-- The columns of a table with their types.
select attname, format_type(atttypid, atttypmod)
from pg_attribute
where attrelid = to_regclass(%(table)s) and attnum > 0 and not attisdropped
order by attnum;

-- name: primary_key
-- The column of a primary key that has one.
select a.attname
from pg_index x join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[0]
where x.indrelid = to_regclass(%(table)s) and x.indisprimary and x.indnkeyatts = 1;

-- name: catalog
-- A table's catalogue row.
select * from geo.table_catalog where table_name = %(table_name)s;

-- name: tracking
-- The run that wrote a table's rows last.
select * from app.vector_etl_tracking
where table_name = %(table_name)s and status = 'completed'
order by processing_completed_at desc nulls last, created_at desc limit 1;

-- name: held
-- What there is of a table.
select %(name)s as table_name,
       exists (select from pg_class where relnamespace = to_regnamespace(%(schema)s) and relname = %(name)s and relkind = 'r'),
       t.table_name is not null as catalogued, t.feature_count as row_count, coalesce(t.published, false) as published,
       t.stac_collection_id, t.stac_item_id,
       exists (select from pgstac.items i
               where i.collection = t.stac_collection_id and i.id = t.stac_item_id) as item_exists,
       t.tile_view,
       array(select style_id from geo.feature_collection_styles where collection_id = %(name)s order by 1) as styles,
       (select count(*) from app.vector_etl_tracking where table_name = %(name)s) as runs,
       (select count(*) from app.dataset_refs where table_name = %(name)s) as dataset_refs
from (select) one left join geo.table_catalog t on t.table_name = %(name)s;

-- name: item_holder
-- What else than one table is an item: another table, or what no table of ours is, such as a raster.
select 'table ' || schema_name || '.' || table_name
from geo.table_catalog
where stac_collection_id = %(collection)s and stac_item_id = %(item)s and table_name <> %(name)s
union all
select 'no table but something else, such as a raster'
from pgstac.items
where collection = %(collection)s and id = %(item)s and not content -> 'properties' ? 'postgis:table'
limit 1;
