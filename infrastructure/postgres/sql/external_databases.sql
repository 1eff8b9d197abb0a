-- name: prerequisites
-- What a database brings: who we are, whether we may create, PostGIS, roles that are missing, roles we may not grant,
-- and whether we may make roles, which pgSTAC's migration does even where they exist.
SELECT current_user::text,
    -- pgSTAC needs both, and PostgreSQL 15 closed public
    has_database_privilege(current_user, current_database(), 'CREATE')
        AND has_schema_privilege(current_user, 'public', 'CREATE'),
    -- pgSTAC looks for it in public
    (SELECT extversion FROM pg_extension WHERE extname = 'postgis' AND extnamespace = to_regnamespace('public')),
    (SELECT coalesce(array_agg(w.name ORDER BY w.name), '{}') FROM unnest(%(roles)s::text[]) AS w (name)
        WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = w.name)),
    (SELECT coalesce(array_agg(w.name ORDER BY w.name), '{}') FROM unnest(%(roles)s::text[]) AS w (name)
        WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            AND NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
                JOIN pg_roles u ON u.oid = m.member
                WHERE r.rolname = w.name AND u.rolname = current_user AND m.admin_option)),
    (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)
