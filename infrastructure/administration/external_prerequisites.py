"""The six things that the administrators of a database do before we can prepare it, looked at one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from infrastructure.administration.external_targets import Target
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

ROLES = ("pgstac_admin", "pgstac_ingest", "pgstac_read")
_SQL = Queries("external_databases")
_NAMES = {
    "server": "The server and the database exist and can be reached",
    "identity": "The admin identity is a user of the database",
    "create": "It has the CREATE privilege on the database and on its schema public",
    "postgis": "The extension PostGIS is enabled in the schema public",
    "roles": "The roles pgstac_admin, pgstac_ingest and pgstac_read exist",
    "admin_option": "The identity has these roles WITH ADMIN OPTION, and may make roles",
}


@dataclass(frozen=True)
class Prerequisite:
    """One of the six. `met` is null where an earlier one keeps it from being looked at; `fix` mends it."""

    number: int
    name: str
    description: str
    met: bool | None
    detail: str | None
    fix: str


@dataclass(frozen=True)
class Preparation:
    """What was done, or with a dry run would be."""

    dry_run: bool
    ready: bool
    prerequisites: list[Prerequisite]
    steps: list[str]


def unknown(target: Target | None) -> list[Prerequisite]:
    """All six, with what has to be done for each, none looked at."""
    return _listed({}, target)


def unreachable(target: Target, error: psycopg.OperationalError) -> list[Prerequisite]:
    """What a refused connection tells: who got as far as being asked for a password has found the server."""
    text = str(error).lower()  # libpq has no code for what happens before it is logged in
    if "fatal:" in text and any(word in text for word in ("role ", "password", "authentication", "pg_hba", "log in")):
        return _listed({"server": (True, None), "identity": (False, "The server refuses its login.")}, target)
    detail = "The server does not answer."
    if "database" in text and "does not exist" in text:
        detail = "There is no such database."
    elif "does not support ssl" in text:
        detail = "The server offers no TLS, and nothing is sent without (EXTERNAL_DB_SSLMODE)."
    return _listed({"server": (False, detail)}, target)


def examine(conn: Connection, target: Target) -> list[Prerequisite]:
    """Look at all six; changes nothing."""
    row = conn.execute(_SQL["prerequisites"], {"roles": list(ROLES)}).fetchone()
    assert row is not None  # a row of scalars
    user, may_create, postgis, missing, without, may_make = row
    lacking = ([f"without: {', '.join(without)}"] if without else []) + ([] if may_make else ["without: CREATEROLE"])
    told = {
        "server": (True, None),
        "identity": (True, f"Logged in as {user}."),
        "create": (bool(may_create), None),
        "postgis": (postgis is not None, f"PostGIS {postgis}" if postgis else None),
        "roles": (not missing, f"missing: {', '.join(missing)}" if missing else None),
        "admin_option": (not lacking and not missing, "; ".join(lacking) or None),
    }
    return _listed(told, target, user, missing)


def _listed(
    told: dict[str, tuple[bool, str | None]],
    target: Target | None,
    user: str | None = None,
    missing: Sequence[str] = (),
) -> list[Prerequisite]:
    fixes = _fixes(target, user, missing)
    found = []
    for number, (name, description) in enumerate(_NAMES.items(), start=1):
        met, detail = told.get(name, (None, None))
        found.append(Prerequisite(number, name, description, met, detail, fixes[name]))
    return found


def _fixes(target: Target | None, user: str | None, missing: Sequence[str]) -> dict[str, str]:
    """The sentence for each; SQL is quoted, so that it can be pasted."""
    who = sql.Identifier(user or (target and target.user) or "admin-identity")
    database = sql.Identifier(target.database if target else "geodb")
    roles = ", ".join(ROLES)
    grant = (
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}; GRANT CREATE ON SCHEMA public TO {};")
        .format(database, who, who)
        .as_string()
    )
    admin = sql.SQL("GRANT " + roles + " TO {} WITH ADMIN OPTION; ALTER ROLE {} CREATEROLE;").format(who, who)
    principal = sql.SQL("SELECT * FROM pgaadauth_create_principal({}, false, false);").format(
        sql.Literal(user or (target and target.user) or "admin-identity")
    )
    return {
        "server": "Create the server and the database, and let this network through its firewall.",
        "identity": f"As Entra administrator, in the database postgres: {principal.as_string()}",
        "create": f"As owner of the database: {grant}",
        "postgis": "Allow POSTGIS, BTREE_GIST and UNACCENT in azure.extensions (a service request), then: "
        "CREATE EXTENSION postgis SCHEMA public;",
        "roles": "As administrator: " + " ".join(f"CREATE ROLE {role};" for role in missing or ROLES),
        "admin_option": f"As administrator: {admin.as_string()}",
    }
