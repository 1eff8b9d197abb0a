-- name: refresh_view
-- Let tiles show the rows that joined.
refresh materialized view {view};

-- name: tile_view
-- The name of a table's tile view.
select tile_view from geo.table_catalog where table_name = %(table_name)s;

-- name: impatient
-- Wait a moment for a table that somebody reads, not for ever.
set local lock_timeout = '10s';

-- name: patient
-- What follows waits as long as it takes.
set local lock_timeout to default;

-- name: rename_table
-- Staging becomes live.
alter table {table} rename to {name};

-- name: rename_view
-- A staging view becomes live.
alter materialized view {table} rename to {name};

-- name: indexes
-- The indexes of a table with the column of each.
select i.relname, x.indisprimary, a.attname
from pg_index x
join pg_class i on i.oid = x.indexrelid
join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[0]
where x.indrelid = to_regclass(%(table)s)
order by x.indisprimary desc, i.oid;

-- name: name_taken
-- Whether any relation has the name.
select exists (
    select from pg_class
    where relnamespace = (select oid from pg_namespace where nspname = %(schema)s) and relname = %(name)s
);

-- name: rename_index
-- An index follows its table's name; a primary key's constraint follows its index.
alter index {index} rename to {name};

-- name: lock_catalog
-- A table's catalogue row, held until the transaction ends.
select updated_at from geo.table_catalog where table_name = %(table_name)s for update;

-- name: lock_table
-- Nobody else writes meanwhile; everybody reads.
lock table {live} in share row exclusive mode;

-- name: append
-- Rows join with new ids.
insert into {live} (id, {columns})
select s.id + (select coalesce(max(id), 0) from {live}), {columns} from {staging} s order by s.id;

-- name: update_matching
-- Rows whose key is in the file get its values and keep their id.
update {live} l set {assignments} from {staging} s where {match};

-- name: count_matching
-- How many rows of the file have a key that is in the table.
select count(*) from {staging} s where exists (select from {live} l where {match});

-- name: insert_others
-- The other rows join with new ids.
insert into {live} (id, {columns})
select s.id + (select coalesce(max(id), 0) from {live}), {columns}
from {staging} s where not exists (select from {live} l where {match}) order by s.id;

-- name: upsert_catalog
-- Describe the published table; what was published stays published, and its birthday stays.
insert into geo.table_catalog as c
select r.* from jsonb_populate_record(null::geo.table_catalog, %(record)s::jsonb || jsonb_build_object(
    'published', false, 'created_at', clock_timestamp(), 'updated_at', clock_timestamp())) as r
on conflict (table_name) do update set ({columns}) = row ({values});

-- name: supersede_tracking
-- Earlier runs no longer own the rows.
update app.vector_etl_tracking
set status = 'superseded'
where table_name = %(table_name)s and etl_job_id <> %(job_id)s and status = 'completed';

-- name: upsert_tracking
-- The run that made rows now published; a repeated run of the same job replaces its record.
insert into app.vector_etl_tracking as t
select r.* from jsonb_populate_record(null::app.vector_etl_tracking, %(record)s::jsonb || jsonb_build_object(
    'created_at', clock_timestamp())) as r
on conflict (table_name, etl_job_id) do update set ({columns}) = row ({values});

-- name: save_style
-- A table's first style; one that is there stays as a person may have made it.
insert into geo.feature_collection_styles
select r.* from jsonb_populate_record(null::geo.feature_collection_styles, %(record)s::jsonb || jsonb_build_object(
    'created_at', clock_timestamp(), 'updated_at', clock_timestamp())) as r
on conflict do nothing;
