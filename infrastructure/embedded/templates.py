"""A finished database to copy: each test gets its own in some 20 ms in place of the seconds its schema takes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
from psycopg import sql

from infrastructure.embedded import databases, programs
from infrastructure.embedded.cluster import Cluster
from infrastructure.postgres.queries import Queries

_SQL = Queries("databases")
_KEPT = 4


class Templates:
    """Template databases of one running cluster, and their clones."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def ensure(self, key: str, build: Callable[[str], object]) -> str:
        """The template for `key`, filled once by `build`, which gets the address of an empty database.

        Everyone else waits meanwhile. Only one `build` runs in a cluster at a time, because pgSTAC's grants on roles,
        which all databases share, fail when two run at once.
        """
        name = f"template_{key}"
        with self._cluster.locked("templates.lock"):
            with self._session() as connection:
                if _truth(connection, "is_template", name):
                    return name
                self._sweep(connection)
                self._drop(connection, name)
                connection.execute(sql.SQL(_SQL["create"]).format(name=sql.Identifier(name)))
            build(self._cluster.conninfo(name))
            with self._session() as connection:
                connection.execute(_SQL["disconnect"], {"name": name})
                connection.execute(sql.SQL(_SQL["close_template"]).format(name=sql.Identifier(name)))
        return name

    def clone(self, template: str) -> str:
        """A fresh copy; returns its name."""
        name = f"clone_{os.getpid()}_{secrets.token_hex(4)}"
        with self._session() as connection:
            statement = _SQL["clone"] if connection.info.server_version >= 150000 else _SQL["clone_before_15"]
            names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
            connection.execute(sql.SQL(statement).format(**names))
        return name

    def empty(self) -> str:
        """An empty database; returns its name."""
        name = f"clone_{os.getpid()}_{secrets.token_hex(4)}"
        with self._session() as connection:
            connection.execute(sql.SQL(_SQL["create"]).format(name=sql.Identifier(name)))
        return name

    def drop(self, name: str) -> None:
        """Remove a clone, whoever is connected to it."""
        with self._session() as connection:
            connection.execute(sql.SQL(_SQL["drop"]).format(name=sql.Identifier(name)))

    def _session(self) -> AbstractContextManager[psycopg.Connection[tuple[object, ...]]]:
        return databases.session(self._cluster.conninfo("postgres"))

    def _sweep(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Drop clones that killed runs left, and templates of older schemas but for a few that may be in use."""
        for name in _named(connection, r"clone\_%"):
            if not programs.alive(int(name.split("_")[1])):
                connection.execute(sql.SQL(_SQL["drop"]).format(name=sql.Identifier(name)))
        for name in _named(connection, r"template\_%")[_KEPT - 1 :]:
            self._drop(connection, name)

    def _drop(self, connection: psycopg.Connection[tuple[object, ...]], template: str) -> None:
        if _truth(connection, "exists", template):
            connection.execute(sql.SQL(_SQL["reopen_template"]).format(name=sql.Identifier(template)))
        connection.execute(sql.SQL(_SQL["drop"]).format(name=sql.Identifier(template)))


def _truth(connection: psycopg.Connection[tuple[object, ...]], query: str, name: str) -> bool:
    row = connection.execute(_SQL[query], {"name": name}).fetchone()
    return row is not None and bool(row[0])


def _named(connection: psycopg.Connection[tuple[object, ...]], pattern: str) -> list[str]:
    return [str(row[0]) for row in connection.execute(_SQL["named_like"], {"pattern": pattern})]
