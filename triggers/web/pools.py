"""How the mounted APIs reach PostgreSQL: small asyncpg pools whose sessions cannot write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import asyncpg
import orjson
from fastapi import FastAPI
from psycopg.conninfo import conninfo_to_dict

from core.errors import DatabaseUnavailable
from triggers.web.mounts import MountSettings

_PATIENCE = 5.0  #: seconds that a probe waits
Init = Callable[[asyncpg.Connection], Awaitable[None]]


def _parts(conninfo: str | Callable[[], str]) -> dict[str, str]:
    text = conninfo() if callable(conninfo) else conninfo
    return {name: str(value) for name, value in conninfo_to_dict(text).items() if value is not None}


async def _decode_json(connection: asyncpg.Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads, schema="pg_catalog"
        )


async def open_pool(settings: MountSettings, application: str, *, init: Init | None = None) -> asyncpg.Pool:
    """A pool that connects when first needed. `init` runs in each new session after the JSON codecs are set."""
    parts = _parts(settings.conninfo)

    async def password() -> str:
        # A token lives minutes: each new session asks for the present one.
        return (await asyncio.to_thread(_parts, settings.conninfo)).get("password", "")

    async def prepare(connection: asyncpg.Connection) -> None:
        await _decode_json(connection)
        if init is not None:
            await init(connection)

    return await asyncpg.create_pool(
        host=parts.get("host"),
        port=int(parts.get("port", "5432")),
        user=parts.get("user"),
        password=password if callable(settings.conninfo) else parts.get("password"),
        database=parts.get("dbname"),
        ssl=parts.get("sslmode"),
        min_size=0,
        max_size=settings.pool_size,
        timeout=10,
        init=prepare,
        server_settings={
            "application_name": application,
            "search_path": "pgstac,public",
            "default_transaction_read_only": "on",
            # Without it pgSTAC stores every search that a stranger makes.
            "pgstac.readonly": "on",
            "statement_timeout": f"{settings.statement_seconds}s",
            "timezone": "UTC",
        },
    )


def probe(app: FastAPI, name: str) -> Callable[[], Coroutine[object, object, object]]:
    """Asks whether the pool in `app.state.<name>` gets an answer. Raises DatabaseUnavailable."""

    async def ask() -> object:
        try:
            return await getattr(app.state, name).fetchval("SELECT 1", timeout=_PATIENCE)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
            raise DatabaseUnavailable(f"The sessions of {app.title} get no answer: {type(e).__name__}.") from e

    return ask


@asynccontextmanager
async def pool_in_state(
    app: FastAPI, name: str, settings: MountSettings, application: str, init: Init | None = None
) -> AsyncIterator[None]:
    """Hold a pool as `app.state.<name>`, where the libraries look for it."""
    pool = await open_pool(settings, application, init=init)
    setattr(app.state, name, pool)
    try:
        yield
    finally:
        await pool.close()
