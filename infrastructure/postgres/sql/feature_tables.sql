-- name: drop
-- Drop a feature table if it is there.
drop table if exists {table};

-- name: create
-- A feature table without indexes, ready for COPY.
create table {table} ({columns}, geom geometry({geometry_type}, {srid}) not null);

-- name: copy
-- Where binary COPY goes.
copy {table} ({columns}) from stdin (format binary);

-- name: relation_kind
-- What a name stands for now: one row with its relkind, or none.
select relkind::text
from pg_class
where relnamespace = (select oid from pg_namespace where nspname = %(schema)s)
  and relname = %(name)s
  and relkind in ('r', 'p', 'v', 'm', 'f');

-- name: has_primary_key
-- Whether indexing was done already; it is one transaction.
select exists (
    select from pg_constraint
    where conrelid = to_regclass(%(table)s) and contype = 'p'
);

-- name: index_memory
-- Memory for the index builds of this transaction.
set local maintenance_work_mem = '256MB';

-- name: add_primary_key
-- The feature id.
alter table {table} add primary key (id);

-- name: index_geometry
-- For windows and tiles.
create index on {table} using gist (geom);

-- name: index_attribute
-- For filters on one column.
create index on {table} ({column});

-- name: index_temporal
-- For the newest first.
create index on {table} ({column} desc nulls last);

-- name: analyze
-- Statistics for the planner.
analyze {table};

-- name: facts
-- Count, extent and geometry types in one scan.
select count(*),
       st_xmin(st_extent(geom)), st_ymin(st_extent(geom)), st_xmax(st_extent(geom)), st_ymax(st_extent(geom)),
       array_agg(distinct st_geometrytype(geom))
from {table};

-- name: temporal_extent
-- First and last moment of a date or time column, as ISO 8601.
select to_json(min({column})::timestamptz) #>> '{{}}', to_json(max({column})::timestamptz) #>> '{{}}'
from {table};

-- name: utc
-- Times without zone are taken as UTC in this transaction.
set local timezone = 'UTC';

-- name: leftovers
-- Staging tables of one job, whatever attempt made them.
select relname
from pg_class
where relnamespace = (select oid from pg_namespace where nspname = %(schema)s)
  and relkind = 'r'
  and relname like %(pattern)s
  and relname <> %(keep)s;

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

-- name: serialize_swap
-- One swap at a time for a table name.
select pg_advisory_xact_lock(hashtextextended(%(schema)s || '.' || %(table)s, 7));

-- name: rename_table
-- Staging becomes live.
alter table {table} rename to {name};

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

-- name: upsert_catalog
-- Describe the published table; what was published stays published, and its birthday stays.
insert into geo.table_catalog (
    table_name, schema_name, title, description, keywords, license, attribution,
    bbox_minx, bbox_miny, bbox_maxx, bbox_maxy, temporal_start, temporal_end, temporal_property,
    geometry_type, primary_geometry, srid, feature_count, stac_collection_id, stac_item_id, stac_extensions,
    providers, sci_doi, sci_citation, table_type, column_definitions, custom_properties, published, published_at
) values (
    %(table_name)s, %(schema_name)s, %(title)s, %(description)s, %(keywords)s, %(license)s, %(attribution)s,
    %(bbox_minx)s, %(bbox_miny)s, %(bbox_maxx)s, %(bbox_maxy)s,
    %(temporal_start)s, %(temporal_end)s, %(temporal_property)s,
    %(geometry_type)s, %(primary_geometry)s, %(srid)s, %(feature_count)s,
    %(stac_collection_id)s, %(stac_item_id)s, %(stac_extensions)s::jsonb,
    %(providers)s::jsonb, %(sci_doi)s, %(sci_citation)s, %(table_type)s,
    %(column_definitions)s::jsonb, %(custom_properties)s::jsonb, false, null
)
on conflict (table_name) do update set
    schema_name = excluded.schema_name, title = excluded.title, description = excluded.description,
    keywords = excluded.keywords, license = excluded.license, attribution = excluded.attribution,
    bbox_minx = excluded.bbox_minx, bbox_miny = excluded.bbox_miny,
    bbox_maxx = excluded.bbox_maxx, bbox_maxy = excluded.bbox_maxy,
    temporal_start = excluded.temporal_start, temporal_end = excluded.temporal_end,
    temporal_property = excluded.temporal_property, geometry_type = excluded.geometry_type,
    primary_geometry = excluded.primary_geometry, srid = excluded.srid, feature_count = excluded.feature_count,
    stac_collection_id = excluded.stac_collection_id, stac_item_id = excluded.stac_item_id,
    stac_extensions = excluded.stac_extensions, providers = excluded.providers, sci_doi = excluded.sci_doi,
    sci_citation = excluded.sci_citation, table_type = excluded.table_type,
    column_definitions = excluded.column_definitions, custom_properties = excluded.custom_properties,
    updated_at = now();

-- name: supersede_tracking
-- Earlier runs no longer own the rows.
update app.vector_etl_tracking
set status = 'superseded'
where table_name = %(table_name)s and etl_job_id <> %(etl_job_id)s and status = 'completed';

-- name: upsert_tracking
-- The run that made the rows now published; a repeated run of the same job replaces its record.
insert into app.vector_etl_tracking (
    table_name, etl_job_id, source_file, source_format, source_crs, source_size_bytes, source_hash, status,
    processing_started_at, processing_completed_at, processing_duration_ms, target_crs,
    rows_read, rows_written, rows_skipped, geometry_repairs,
    processing_software, processing_version, pipeline_version, error_message, error_details, findings, created_by
) values (
    %(table_name)s, %(etl_job_id)s, %(source_file)s, %(source_format)s, %(source_crs)s, %(source_size_bytes)s,
    %(source_hash)s, %(status)s,
    %(processing_started_at)s, %(processing_completed_at)s, %(processing_duration_ms)s, %(target_crs)s,
    %(rows_read)s, %(rows_written)s, %(rows_skipped)s, %(geometry_repairs)s,
    %(processing_software)s, %(processing_version)s, %(pipeline_version)s, %(error_message)s,
    %(error_details)s::jsonb, %(findings)s::jsonb, %(created_by)s
)
on conflict (table_name, etl_job_id) do update set
    source_file = excluded.source_file, source_format = excluded.source_format, source_crs = excluded.source_crs,
    source_size_bytes = excluded.source_size_bytes, source_hash = excluded.source_hash, status = excluded.status,
    processing_started_at = excluded.processing_started_at,
    processing_completed_at = excluded.processing_completed_at,
    processing_duration_ms = excluded.processing_duration_ms, target_crs = excluded.target_crs,
    rows_read = excluded.rows_read, rows_written = excluded.rows_written, rows_skipped = excluded.rows_skipped,
    geometry_repairs = excluded.geometry_repairs, processing_software = excluded.processing_software,
    processing_version = excluded.processing_version, pipeline_version = excluded.pipeline_version,
    error_message = excluded.error_message, error_details = excluded.error_details,
    findings = excluded.findings, created_by = excluded.created_by;
