"""Carries out what is additive about the differences; what PostgreSQL refuses is reported, not raised."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import ops
from psycopg import sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint

from core.schema.metadata import build_metadata
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.schema import definitions, routines, structure
from infrastructure.postgres.schema.differences import Difference, DifferenceKind, Refusal
from infrastructure.postgres.schema.session import Session, first_line

_SQL = Queries("schema")


def mend_tables(open_session: Session) -> list[Refusal]:
    """Add the missing tables, columns, indexes, keys and foreign keys."""
    conn = open_session.alchemy
    refused = []
    for change in structure.changes(conn, build_metadata()):
        if not (change.difference.additive or _fits_empty_table(conn, change)):
            continue
        try:
            with conn.begin_nested():
                structure.apply(conn, change)
        except DBAPIError as e:
            refused.append(_refusal(change.difference, e))
    return refused


def mend_definitions(open_session: Session) -> list[Refusal]:
    """Add the missing checks, set storage parameters, and put functions, triggers and views in place."""
    comparison = definitions.compare(open_session)
    refused = _add_checks(open_session.alchemy, comparison.differences())
    for key, wanted in comparison.declared.items():
        if key.kind is DifferenceKind.STORAGE and comparison.live.get(key) != wanted:
            open_session.driver.execute(
                sql.SQL(_SQL["set_storage"]).format(
                    table=sql.Identifier(*key.table.split(".")),
                    parameter=sql.Identifier(key.name),
                    value=sql.Literal(wanted.text),
                )
            )
    if comparison.code_differs():
        for statement in comparison.stale_code():
            # PostgreSQL wrote the statement itself, from its own catalogue.
            open_session.driver.execute(statement)
        routines.install(open_session.driver)
    return refused


def _fits_empty_table(conn: sa.Connection, change: structure.Change) -> bool:
    """A column that may not be empty can still be added where no row lacks it."""
    if not isinstance(change.operation, ops.AddColumnOp):
        return False
    table = sa.table(change.operation.table_name, schema=change.operation.schema)
    return conn.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is None


def _add_checks(conn: sa.Connection, differences: list[Difference]) -> list[Refusal]:
    declared = {
        f"{table.fullname}.{constraint.name}": constraint
        for table in build_metadata().tables.values()
        for constraint in table.constraints
    }
    refused = []
    for difference in differences:
        if difference.kind is not DifferenceKind.CONSTRAINT or not difference.additive:
            continue
        try:
            with conn.begin_nested():
                conn.execute(AddConstraint(declared[difference.object], isolate_from_table=False))
        except DBAPIError as e:
            refused.append(_refusal(difference, e))
    return refused


def _refusal(difference: Difference, error: DBAPIError) -> Refusal:
    return Refusal(f"{difference.kind} {difference.object}", first_line(error.orig or error))
