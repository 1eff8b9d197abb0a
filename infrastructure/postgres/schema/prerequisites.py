"""What must be there before a table can: extensions, schemas, pgSTAC, enums."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from core.schema.metadata import ENUM_SCHEMA, declared_enums
from core.schema.table import SCHEMAS
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.schema import pgstac
from infrastructure.postgres.schema.differences import Difference, DifferenceKind

EXTENSIONS = ("postgis", "btree_gist", "unaccent")
_SQL = Queries("schema")


def differences(conn: Connection) -> list[Difference]:
    """The extensions, schemas, enums and pgSTAC version that are not as they should be."""
    found = [Difference(DifferenceKind.EXTENSION, name, "missing", additive=True) for name in missing_extensions(conn)]
    found += [Difference(DifferenceKind.SCHEMA, name, "missing", additive=True) for name in _missing_schemas(conn)]
    if (version := pgstac.installed(conn)) != pgstac.wanted():
        detail = f"{pgstac.wanted()} is missing" if version is None else f"{version} instead of {pgstac.wanted()}"
        found.append(Difference(DifferenceKind.PGSTAC, "pgstac", detail, additive=pgstac.older(version)))
    return found + _enum_differences(_live_enums(conn))


def install(conn: Connection, conninfo: str) -> None:
    """Make what is missing; `conn` must be in autocommit, as a new enum label counts only once committed."""
    for extension in missing_extensions(conn):
        conn.execute(sql.SQL(_SQL["create_extension"]).format(extension=sql.Identifier(extension)))
    for schema in _missing_schemas(conn):
        conn.execute(sql.SQL(_SQL["create_schema"]).format(schema=sql.Identifier(schema)))
    if pgstac.older(pgstac.installed(conn)):
        pgstac.migrate(conninfo)
    live = _live_enums(conn)
    for name, labels in declared_enums().items():
        if name not in live:
            create_enum(conn, ENUM_SCHEMA, name, labels)
        else:
            _add_labels(conn, name, labels, live[name])


def missing_extensions(conn: Connection) -> list[str]:
    """The extensions to create."""
    present = {row[0] for row in conn.execute(_SQL["extensions"])}
    return [name for name in EXTENSIONS if name not in present]


def create_enum(conn: Connection, schema: str, name: str, labels: Sequence[str]) -> None:
    """Create an enum type."""
    conn.execute(
        sql.SQL(_SQL["create_enum"]).format(
            enum=sql.Identifier(schema, name), labels=sql.SQL(", ").join(map(sql.Literal, labels))
        )
    )


def _missing_schemas(conn: Connection) -> list[str]:
    present = {row[0] for row in conn.execute(_SQL["schemas"])}
    return [name for name in SCHEMAS if name not in present]


def _live_enums(conn: Connection) -> dict[str, list[str]]:
    rows = conn.execute(_SQL["enums"], {"schemas": [ENUM_SCHEMA]})
    return {name.removeprefix(f"{ENUM_SCHEMA}."): labels for name, labels in rows}


def _enum_differences(live: dict[str, list[str]]) -> list[Difference]:
    found = []
    for name, labels in declared_enums().items():
        type_name = f"{ENUM_SCHEMA}.{name}"
        if name not in live:
            found.append(Difference(DifferenceKind.ENUM, type_name, "missing", additive=True))
            continue
        missing = [label for label in labels if label not in live[name]]
        extra = [label for label in live[name] if label not in labels]
        found += [Difference(DifferenceKind.ENUM, type_name, f"lacks {label!r}", additive=True) for label in missing]
        found += [Difference(DifferenceKind.ENUM, type_name, f"has {label!r}", additive=False) for label in extra]
        if not missing and not extra and list(labels) != live[name]:
            found.append(Difference(DifferenceKind.ENUM, type_name, "its labels are in another order", additive=False))
    undeclared = sorted(set(live) - set(declared_enums()))
    return found + [
        Difference(DifferenceKind.ENUM, f"{ENUM_SCHEMA}.{name}", "not declared", additive=False) for name in undeclared
    ]


def _add_labels(conn: Connection, name: str, labels: Sequence[str], live: Sequence[str]) -> None:
    """Add the missing labels where they belong, so that the order is the declared one."""
    present = list(live)
    for position, label in enumerate(labels):
        if label in present:
            continue
        if position > 0:
            query, neighbour = _SQL["add_label_after"], labels[position - 1]
        else:
            query, neighbour = _SQL["add_label_before"], present[0]
        conn.execute(
            sql.SQL(query).format(
                enum=sql.Identifier(ENUM_SCHEMA, name), label=sql.Literal(label), neighbour=sql.Literal(neighbour)
            )
        )
        present.append(label)
