"""The service container's application: the API, the console pages and the catalogue services on one address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from composition import Runtime
from infrastructure.postgres.login import conninfo
from triggers.http.app import create_app
from triggers.web.mounts import MountSettings, build_mounts


def create_service(runtime: Runtime) -> FastAPI:
    """The API with STAC, OGC API Features and tiles mounted."""
    app = create_app(lambda: runtime)
    mounts = build_mounts(_settings(runtime))
    for mount in mounts:
        app.mount(mount.prefix, mount.app)
    app.state.mounted = {mount.name: mount.probe for mount in mounts}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for mount in mounts:  # Starlette never runs a mounted app's lifespan
                await stack.enter_async_context(mount.lifespan())
            yield

    app.router.lifespan_context = lifespan
    return app


def _settings(runtime: Runtime) -> MountSettings:
    return MountSettings(
        conninfo=conninfo(runtime.settings.database),
        identify=runtime.gate.admit,  # a wrong credential is told as such, here as on every other route
        storage=runtime.storage,
        public_url=runtime.settings.server.public_url,
    )
