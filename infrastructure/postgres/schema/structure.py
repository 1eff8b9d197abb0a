"""Which tables, columns, indexes and keys are missing, changed or too many? Alembic answers, and adds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops

from infrastructure.postgres.schema.differences import Difference, DifferenceKind

_COMPARED = ("app", "geo")
_DATA = ("geo",)  #: schemas where an undeclared table is data, not drift


@dataclass(frozen=True)
class Change:
    """A difference and the operation that Alembic would undo it with."""

    difference: Difference
    operation: ops.MigrateOperation


def changes(conn: sa.Connection, metadata: sa.MetaData) -> list[Change]:
    """What separates the live tables from the declared ones, in an order in which it can be mended."""
    declared = {(table.schema, table.name) for table in metadata.tables.values()}

    def wanted(name: str | None, kind: str, parents: object) -> bool:
        if kind == "schema":
            return name in _COMPARED
        if kind == "table" and isinstance(parents, dict) and parents.get("schema_name") in _DATA:
            return (parents.get("schema_name"), name) in declared
        return True

    context = MigrationContext.configure(
        conn,
        opts={
            "include_schemas": True,
            "include_name": wanted,
            "compare_type": True,
            "compare_server_default": True,
            "target_metadata": metadata,
        },
    )
    with warnings.catch_warnings():
        # SQLAlchemy stumbles over its own option when it reflects a check that is NOT VALID.
        warnings.filterwarnings("ignore", message="Can't validate argument 'dialect_options'")
        script = produce_migrations(context, metadata)
    found = list(_flatten(script.upgrade_ops.ops if script.upgrade_ops is not None else ()))
    return [Change(_difference(operation, found), operation) for operation in found]


def apply(conn: sa.Connection, change: Change) -> None:
    """Carry out one additive change."""
    Operations(MigrationContext.configure(conn)).invoke(change.operation)


def _flatten(operations: Iterable[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            yield from _flatten(operation.ops)
        else:
            yield operation


def _difference(operation: ops.MigrateOperation, found: list[ops.MigrateOperation]) -> Difference:
    match operation:
        case ops.CreateTableOp():
            return Difference(DifferenceKind.TABLE, _table(operation), "missing", additive=True)
        case ops.DropTableOp():
            return Difference(DifferenceKind.TABLE, _table(operation), "not declared", additive=False)
        case ops.AddColumnOp():
            return _missing_column(operation)
        case ops.DropColumnOp():
            name = f"{_table(operation)}.{operation.column_name}"
            return Difference(DifferenceKind.COLUMN, name, "not declared", additive=False)
        case ops.AlterColumnOp():
            return _altered_column(operation)
        case ops.CreateIndexOp():
            return _created(DifferenceKind.INDEX, operation, operation.index_name, found)
        case ops.AddConstraintOp():
            return _created(DifferenceKind.CONSTRAINT, operation, operation.to_constraint().name, found)
        case ops.DropIndexOp():
            return _dropped(DifferenceKind.INDEX, operation, operation.index_name, found)
        case ops.DropConstraintOp():
            return _dropped(DifferenceKind.CONSTRAINT, operation, operation.constraint_name, found)
        case _:
            detail = f"differs: {type(operation).__name__}"
            return Difference(DifferenceKind.TABLE, _table(operation), detail, additive=False)


def _table(operation: ops.MigrateOperation) -> str:
    name = getattr(operation, "table_name", None) or getattr(operation, "source_table", "?")
    schema = getattr(operation, "schema", None) or getattr(operation, "source_schema", None)
    if schema is None:
        schema = getattr(operation, "kw", {}).get("source_schema", "?")
    return f"{schema}.{name}"


def _missing_column(operation: ops.AddColumnOp) -> Difference:
    column = operation.column
    fills_itself = bool(column.nullable) or column.server_default is not None
    detail = "missing" if fills_itself else "missing, and cannot be empty, so existing rows need a value first"
    return Difference(DifferenceKind.COLUMN, f"{_table(operation)}.{column.name}", detail, additive=fills_itself)


def _altered_column(operation: ops.AlterColumnOp) -> Difference:
    details = []
    if operation.modify_type is not None:
        details.append(f"is {operation.existing_type}, should be {operation.modify_type}")
    if operation.modify_nullable is not None:
        details.append("may not be empty" if operation.modify_nullable else "may be empty")
    if operation.modify_server_default is not False:
        details.append("has another default")
    name = f"{_table(operation)}.{operation.column_name}"
    return Difference(DifferenceKind.COLUMN, name, "; ".join(details) or "differs", additive=False)


def _created(
    kind: DifferenceKind, operation: ops.MigrateOperation, name: object, found: list[ops.MigrateOperation]
) -> Difference:
    # Alembic replaces what changed: a drop and a create of the same name. Only a bare create is additive.
    replaced = any(_dropped_name(other) == name for other in found)
    detail = "differs" if replaced else "missing"
    return Difference(kind, f"{_table(operation)}.{name}", detail, additive=not replaced)


def _dropped(
    kind: DifferenceKind, operation: ops.MigrateOperation, name: object, found: list[ops.MigrateOperation]
) -> Difference:
    replaced = any(_created_name(other) == name for other in found)
    detail = "differs" if replaced else "not declared"
    return Difference(kind, f"{_table(operation)}.{name}", detail, additive=False)


def _dropped_name(operation: ops.MigrateOperation) -> object:
    match operation:
        case ops.DropIndexOp():
            return operation.index_name
        case ops.DropConstraintOp():
            return operation.constraint_name
        case _:
            return None


def _created_name(operation: ops.MigrateOperation) -> object:
    match operation:
        case ops.CreateIndexOp():
            return operation.index_name
        case ops.AddConstraintOp():
            return operation.to_constraint().name
        case _:
            return None
