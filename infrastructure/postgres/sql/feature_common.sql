-- name: serialize_change
-- One change at a time for a table name.
select pg_advisory_xact_lock(hashtextextended(%(schema)s || '.' || %(table)s, 7));

-- name: relation_kind
-- What a name stands for now: one row with its relkind, or none.
select relkind::text
from pg_class
where relnamespace = (select oid from pg_namespace where nspname = %(schema)s)
  and relname = %(name)s
  and relkind in ('r', 'p', 'v', 'm', 'f');

-- name: drop
-- Drop a feature table if it is there.
drop table if exists {table};

-- name: drop_view
-- Drop a tile view.
drop materialized view if exists {view};

-- name: analyze
-- Statistics for the planner.
analyze {table};

-- name: forget_load
-- The staging table is gone.
delete from app.vector_loads where staging = %(staging)s;
