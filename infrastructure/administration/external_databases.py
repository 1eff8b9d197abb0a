"""Prepares a database of somebody else for published data: pgSTAC, and the tables of the schema geo."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from psycopg import sql

from config import ExternalDatabaseSettings
from core.errors import Conflict
from core.schema.metadata import build_metadata
from infrastructure.administration import external_prerequisites as prerequisites
from infrastructure.administration.external_prerequisites import Preparation, Prerequisite
from infrastructure.administration.external_targets import Target, login, refuse_strangers
from infrastructure.postgres.pool import translated
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.schema import pgstac, structure
from infrastructure.postgres.schema.session import autocommit, session

GEO = "geo"
_SQL = Queries("schema")
_LOCK = 0x67656F65  #: any number; ensure and pgSTAC have others


class ExternalDatabases:
    """Looks at targets and prepares them."""

    def __init__(self, settings: ExternalDatabaseSettings) -> None:
        self._settings = settings

    def examine(self, target: Target) -> list[Prerequisite]:
        """How the six prerequisites stand; changes nothing. Raises Forbidden for a host that no setting names."""
        refuse_strangers(target, self._settings)
        return _examine(login(target, self._settings), target)

    def prepare(self, target: Target, *, dry_run: bool) -> Preparation:
        """Bring pgSTAC and geo to what the models declare. A second time changes nothing.

        Raises Forbidden for a host that no setting names, Conflict while a prerequisite is not met.
        """
        refuse_strangers(target, self._settings)
        conninfo = login(target, self._settings)
        found = _examine(conninfo, target)
        lacking = [each for each in found if not each.met]
        if lacking and dry_run:
            return Preparation(dry_run, False, found, [])
        if lacking:
            first = next(each for each in lacking if each.met is False)
            raise Conflict(f"{target.host} is not ready. {first.description}: no.", hint=first.fix)
        return Preparation(dry_run, True, found, _prepare(conninfo, dry_run))


def _examine(conninfo: str, target: Target) -> list[Prerequisite]:
    try:
        conn = psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as e:
        return prerequisites.unreachable(target, e)
    with translated(), conn:
        return prerequisites.examine(conn, target)


def _prepare(conninfo: str, dry_run: bool) -> list[str]:
    with autocommit(conninfo) as conn:
        conn.execute(_SQL["lock"], {"key": _LOCK})
        version, steps = pgstac.installed(conn), []
        if version != pgstac.wanted() and not pgstac.older(version):
            raise Conflict(
                f"pgSTAC there is {version}, and this program was made for {pgstac.wanted()}.",
                hint="Update Geomachine; nothing migrates downwards.",
            )
        if version != pgstac.wanted():
            steps.append(f"pgSTAC {pgstac.wanted()}" + (f" instead of {version}" if version else ""))
            if not dry_run:
                pgstac.migrate(conninfo)
        if conn.execute(_SQL["schema_exists"], {"schema": GEO}).fetchone() is None:
            steps.append(f"schema {GEO}")
            if not dry_run:
                conn.execute(sql.SQL(_SQL["create_schema"]).format(schema=sql.Identifier(GEO)))
        return steps + _mend_tables(conninfo, dry_run)


def _mend_tables(conninfo: str, dry_run: bool) -> list[str]:
    """Add what the tables of geo lack; what is there and differs stays as it is."""
    with session(conninfo) as open_session:
        changes = structure.changes(open_session.alchemy, _geo_tables())
        additive = [change for change in changes if change.difference.additive]
        for change in () if dry_run else additive:
            structure.apply(open_session.alchemy, change)
        if not dry_run:
            open_session.commit()
        return [str(change.difference) for change in additive]


def _geo_tables() -> sa.MetaData:
    chosen = sa.MetaData()
    for table in build_metadata().tables.values():
        if table.schema == GEO:
            table.to_metadata(chosen)
    return chosen
