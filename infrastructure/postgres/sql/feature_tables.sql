-- name: create
-- A feature table without indexes, ready for COPY.
create table {table} ({columns}, geom geometry({geometry_type}, {srid}) not null);

-- name: copy
-- Where binary COPY goes.
copy {table} ({columns}) from stdin (format binary);

-- name: loaded
-- What was told when a part was loaded.
select output from app.vector_loads where staging = %(staging)s and part = %(part)s;

-- name: save_load
-- Remember with the rows that they are there; a second attempt at the same part fails here.
insert into app.vector_loads (staging, part, output) values (%(staging)s, %(part)s, %(output)s);

-- name: forget_loads
-- Forget parts of staging tables that are gone.
delete from app.vector_loads v
where not exists (select from pg_class where relnamespace = to_regnamespace('geo') and relname = v.staging);

-- name: has_primary_key
-- Whether indexing was done already; it is one transaction.
select exists (
    select from pg_constraint
    where conrelid = to_regclass(%(table)s) and contype = 'p'
);

-- name: index_memory
-- Memory for the index builds of this transaction.
set local maintenance_work_mem = '256MB';

-- name: create_sorted
-- An empty table like another.
create table {sorted} (like {table});

-- name: fill_sorted
-- PostGIS sorts geometries along a Hilbert curve.
insert into {sorted} select * from {table} order by geom;

-- name: drop_unsorted
-- The sorted table takes its place.
drop table {table};

-- name: rename_sorted
-- The sorted table takes its place.
alter table {sorted} rename to {name};

-- name: add_primary_key
-- The feature id.
alter table {table} add primary key ({column});

-- name: index_geometry
-- For windows and tiles.
create index on {table} using gist (geom);

-- name: index_attribute
-- For filters on one column.
create index on {table} ({column});

-- name: index_temporal
-- For the newest first.
create index on {table} ({column} desc nulls last);

-- name: create_tile_view
-- Large geometries in pieces, so that a tile reads and clips only what lies in it.
create materialized view {view} as
select {columns}, st_subdivide(geom, {vertices})::geometry(Geometry, {srid}) as geom
from {table};

-- name: leftovers
-- Staging tables of one job, whatever attempt made them.
select relname
from pg_class
where relnamespace = (select oid from pg_namespace where nspname = %(schema)s)
  and relkind = 'r'
  and relname like %(pattern)s;

-- name: abandoned
-- Staging tables whose job has ended, one way or another.
select n.nspname, c.relname
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'geo' and c.relkind = 'r' and c.relname ~ '__stg_[0-9a-f]{8}_[0-9]+$'
  and not exists (select from app.jobs j
                  where left(j.job_id, 8) = substring(c.relname from '__stg_([0-9a-f]{8})_')
                    and j.superseded_at is null and j.status in ('queued', 'processing'));

-- name: impatient
-- Give up on a lock that somebody holds for long.
set local lock_timeout = '2s';

-- name: asked_for
-- Tables with rows of a run that was asked for one name.
select distinct table_name
from app.vector_etl_tracking
where requested_table = %(requested)s and status = 'completed'
order by 1;

-- name: without_item
-- Tables with a geometry column that STAC does not know.
select c.relname
from pg_class c
left join geo.table_catalog t on t.schema_name = %(schema)s and t.table_name = c.relname
where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind = 'r' and strpos(c.relname, %(mark)s) = 0
  and exists (select from pg_attribute a
              where a.attrelid = c.oid and a.attname = 'geom' and a.atttypid = 'geometry'::regtype and not a.attisdropped)
  and not exists (select from pgstac.items i where i.collection = t.stac_collection_id and i.id = t.stac_item_id)
order by 1;
