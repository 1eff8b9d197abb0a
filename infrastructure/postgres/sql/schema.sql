-- name: lock
-- One ensure or rebuild at a time in this database; waits for the other.
SELECT pg_advisory_lock(%(key)s);

-- name: extensions
-- The extensions this database has.
SELECT extname FROM pg_extension;

-- name: create_extension
-- An extension that is missing.
CREATE EXTENSION IF NOT EXISTS {extension};

-- name: schemas
-- The schemas this database has.
SELECT nspname FROM pg_namespace;

-- name: create_schema
-- A schema that is missing.
CREATE SCHEMA IF NOT EXISTS {schema};

-- name: drop_schema
-- A schema and all it holds.
DROP SCHEMA IF EXISTS {schema} CASCADE;

-- name: pgstac_installed
-- Whether pgSTAC was ever migrated here.
SELECT to_regclass('pgstac.migrations') IS NOT NULL;

-- name: pgstac_version
-- The version pgSTAC was last migrated to.
SELECT version FROM pgstac.migrations ORDER BY datetime DESC, version DESC LIMIT 1;

-- name: create_enum
-- An enum with its labels in order.
CREATE TYPE {enum} AS ENUM ({labels});

-- name: add_label_after
-- A label behind one that exists.
ALTER TYPE {enum} ADD VALUE IF NOT EXISTS {label} AFTER {neighbour};

-- name: add_label_before
-- A label in front of one that exists.
ALTER TYPE {enum} ADD VALUE IF NOT EXISTS {label} BEFORE {neighbour};

-- name: enums
-- Every enum of the schemas with its labels in order.
SELECT n.nspname || '.' || t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_enum e ON e.enumtypid = t.oid
WHERE n.nspname = ANY (%(schemas)s)
GROUP BY 1;

-- name: tables
-- Every table of the schemas.
SELECT n.nspname || '.' || c.relname, ''
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p');

-- name: constraints
-- Every check, key and foreign key as PostgreSQL prints it. NOT NULL belongs to the columns.
SELECT n.nspname || '.' || c.relname, con.conname, pg_get_constraintdef(con.oid)
FROM pg_constraint con JOIN pg_class c ON c.oid = con.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s) AND con.contype IN ('c', 'f', 'p', 'u', 'x');

-- name: indexes
-- Every index that no constraint owns, as PostgreSQL prints it; one whose build failed says so.
SELECT n.nspname || '.' || t.relname, c.relname,
       pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
     JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid AND con.conrelid = i.indrelid
                  AND con.contype IN ('p', 'u', 'x'));

-- name: storage
-- Every storage parameter that is set on a table.
SELECT n.nspname || '.' || c.relname, split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest(c.reloptions) o
WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p');

-- name: routines
-- Every function and procedure that no extension owns, with the statement that drops it.
SELECT format('%%I.%%I(%%s) RETURNS %%s', n.nspname, p.proname, pg_get_function_arguments(p.oid),
              coalesce(pg_get_function_result(p.oid), 'nothing')),
       pg_get_functiondef(p.oid),
       format('DROP ROUTINE %%s', p.oid::regprocedure)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = ANY (%(schemas)s) AND p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e');

-- name: composites
-- Every free-standing composite type with the statement that drops it; functions return it, no column has it.
SELECT format('%%I.%%I', n.nspname, c.relname),
       string_agg(format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum),
       format('DROP TYPE %%I.%%I CASCADE', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = ANY (%(schemas)s) AND c.relkind = 'c' AND NOT a.attisdropped
GROUP BY n.nspname, c.relname;

-- name: triggers
-- Every trigger with the statement that drops it; one that is not enabled as usual says so.
SELECT format('%%I.%%I', n.nspname, c.relname), t.tgname,
       pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (enabled: ' || t.tgenabled::text || ')' END,
       format('DROP TRIGGER %%I ON %%I.%%I', t.tgname, n.nspname, c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s) AND NOT t.tgisinternal;

-- name: views
-- Every view with the statement that drops it.
SELECT format('%%I.%%I', n.nspname, c.relname), pg_get_viewdef(c.oid), format('DROP VIEW %%I.%%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s) AND c.relkind = 'v';

-- name: state_guard
-- The trigger that refuses a status change which is not among the pairs. AFTER, because a BEFORE trigger would lock
-- the row before its WHEN is looked at.
CREATE OR REPLACE TRIGGER state_guard AFTER UPDATE OF status ON {table}
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status AND (OLD.status, NEW.status) NOT IN ({pairs}))
EXECUTE FUNCTION {function}();

-- name: set_storage
-- A storage parameter.
ALTER TABLE {table} SET ({parameter} = {value});

-- name: plain_names
-- Names outside pg_catalog and public are printed with their schema; bodies of functions are not looked into.
SELECT set_config('search_path', 'public', true), set_config('check_function_bodies', 'off', true);

-- name: schema_exists
-- A row where the schema exists.
SELECT 1 FROM pg_namespace WHERE nspname = %(schema)s;
