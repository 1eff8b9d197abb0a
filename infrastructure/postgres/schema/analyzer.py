"""Is the database as the models declare it?"""

from __future__ import annotations

from core.schema.metadata import build_metadata
from infrastructure.postgres.schema import definitions, prerequisites, structure
from infrastructure.postgres.schema.differences import Difference, DifferenceKind, MigrationReport
from infrastructure.postgres.schema.session import Session, autocommit, session


class SchemaAnalyzer:
    """Compares a database with the models. Changes nothing."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def generate_migration_report(self) -> MigrationReport:
        """Every difference. Where an extension is missing, nothing else can be told."""
        with autocommit(self._conninfo) as conn:
            found = prerequisites.differences(conn)
        if not any(d.kind is DifferenceKind.EXTENSION for d in found):
            with session(self._conninfo) as open_session:
                found += table_differences(open_session)
        return MigrationReport(tuple(sorted(found)))


def drift(conninfo: str) -> tuple[Difference, ...]:
    """Every difference between the database and the models; none after `ensure`."""
    return SchemaAnalyzer(conninfo).generate_migration_report().differences


def table_differences(open_session: Session) -> list[Difference]:
    """What differs in tables and code. Where both views tell of an object, Alembic's word stands."""
    found = [change.difference for change in structure.changes(open_session.alchemy, build_metadata())]
    open_session.rollback()
    told = {(d.kind, d.object) for d in found}
    compared = definitions.compare(open_session).differences()
    return list(dict.fromkeys([*found, *(d for d in compared if (d.kind, d.object) not in told)]))
