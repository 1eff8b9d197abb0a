"""Which feature tables a caller may see, described for tipg and fresh at every request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from fastapi import FastAPI, HTTPException, Request
from tipg.collections import PgCollection, pg_get_collection_index
from tipg.settings import DatabaseSettings

from infrastructure.postgres.queries import Queries
from triggers.web.cql import refuse_foreign
from triggers.web.edge import view_of

_SQL = Queries("serving")
_SCHEMA = "geo"
_NO_FUNCTION = ["none.none"]
_TILE = re.compile(r"/tiles/[^/]+/\d+/\d+/\d+$")


@dataclass(frozen=True)
class _Mark:
    """Changes whenever the table, its columns or its catalogue row do."""

    oid: int
    change: str
    updated_at: datetime | None


class FeatureTable(PgCollection):
    """A table whose values all have a form in JSON: bytes in base64, intervals as ISO 8601 durations in seconds."""

    def _select_property_columns(self, properties: list[str] | None) -> list[str]:
        types = {column.name: column.type for column in self.table_columns}
        return [_shown(name, types[name]) for name in self.columns(properties)]


def _shown(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    match kind:
        case "bytea":
            return f"translate(encode({column}, 'base64'), E'\\n', '') AS {column}"
        case "interval":
            return f"'PT' || trim_scale(extract(epoch FROM {column})) || 'S' AS {column}"
        case _:
            return column


@dataclass
class FeatureTables:
    """Descriptions of the tables in geo.table_catalog, each read again when its mark changed."""

    app: FastAPI
    _known: dict[str, tuple[_Mark, PgCollection]] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def one(self, request: Request, name: str) -> PgCollection:
        """The table; HTTPException 404 when the caller may not see it, 400 when it cannot take the caller's filter."""
        table = name.removeprefix(f"{_SCHEMA}.")
        async with self.app.state.pool.acquire() as connection:
            rows = await connection.fetch(_SQL["feature_table"], table, *view_of(request).parameters)
            found = await self._described(connection, rows)
        if not found:
            raise HTTPException(404, f"Collection {name} does not exist.")
        columns = [column.name for column in found[0].table_columns]
        for text in request.query_params.getlist("filter"):
            refuse_foreign(text, columns)
        if request.url.path.endswith("/items"):
            _refuse_unknown(request, columns, self._parameters())
        view = rows[0]["tile_view"]
        if view is not None and _TILE.search(request.url.path):
            # The same columns, and geometries in pieces of which a tile reads those that lie in it.
            return found[0].model_copy(update={"table": view})
        return found[0]

    def _parameters(self) -> set[str]:
        """What the library documents for features, and what decides which the caller sees."""
        documented = self.app.openapi()["paths"]["/collections/{collectionId}/items"]["get"]["parameters"]
        return {parameter["name"] for parameter in documented if parameter["in"] == "query"} | {"published"}

    async def all(self, request: Request) -> list[PgCollection]:
        """The tables the caller may see, by name."""
        async with self.app.state.pool.acquire() as connection:
            rows = await connection.fetch(_SQL["feature_tables"], *view_of(request).parameters)
            return await self._described(connection, rows)

    async def _described(self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> list[PgCollection]:
        stale = [row for row in rows if self._fresh(row) is None]
        if stale:
            async with self._lock:
                await self._read(connection, {row["table_name"]: row for row in stale})
        return [table for row in rows if (table := self._fresh(row)) is not None]

    def _fresh(self, row: asyncpg.Record) -> PgCollection | None:
        mark, table = self._known.get(row["table_name"], (None, None))
        return table if mark == _mark(row) else None

    async def _read(self, connection: asyncpg.Connection, rows: Mapping[str, asyncpg.Record]) -> None:
        wanted = DatabaseSettings(
            schemas=[_SCHEMA], tables=[f"{_SCHEMA}.{name}" for name in rows], functions=_NO_FUNCTION
        )
        for described in await pg_get_collection_index(connection, settings=wanted):
            row = rows.get(described.table)
            if row is None or described.type != "Table":
                continue
            fields = {**described.model_dump(by_alias=True), "id": described.table}
            fields |= {"title": row["title"], "description": row["description"]}
            self._known[described.table] = (_mark(row), FeatureTable.model_validate(fields))


def _refuse_unknown(request: Request, columns: Sequence[str], known: set[str]) -> None:
    """HTTPException 400 for a parameter that would be ignored, so that a mistyped column is not all features."""
    unknown = [name for name in request.query_params if name not in known and name not in columns]
    if unknown:
        raise HTTPException(400, f"{unknown[0]!r} is no parameter, and no column of this collection.")
    for name in request.query_params.get("properties", "").split(","):
        if name and name not in columns:
            raise HTTPException(400, f"properties names {name!r}, which is no column of this collection.")


def _mark(row: asyncpg.Record) -> _Mark:
    return _Mark(row["oid"], row["change"], row["updated_at"])
