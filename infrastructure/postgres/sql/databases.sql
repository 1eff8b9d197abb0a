-- name: exists
-- Whether the cluster has a database of this name.
select exists (select from pg_database where datname = %(name)s);

-- name: create
-- An empty database.
create database {name};

-- name: clone
-- A copy of a template; copying files beats replaying the log for small databases that nobody is writing to.
create database {name} template {template} strategy file_copy;

-- name: clone_before_15
-- The same where copying files is the only strategy.
create database {name} template {template};

-- name: drop
-- Remove a database with whoever is connected to it.
drop database if exists {name} with (force);

-- name: is_template
-- Whether a template of this name was finished.
select exists (select from pg_database where datname = %(name)s and datistemplate and not datallowconn);

-- name: disconnect
-- End every session in a database.
select pg_terminate_backend(pid) from pg_stat_activity where datname = %(name)s and pid <> pg_backend_pid();

-- name: close_template
-- Finish a template: nobody may connect any more, because a session in it would block its cloning.
alter database {name} is_template true allow_connections false;

-- name: reopen_template
-- Make a template an ordinary database, which can be dropped.
alter database {name} is_template false;

-- name: named_like
-- Databases by pattern, newest first.
select datname from pg_database where datname like %(pattern)s order by oid desc;
