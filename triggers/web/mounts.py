"""Which standard APIs the service mounts, and what they need from it.

The libraries behind them are imported when the mounts are built, never with this module."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from core.contracts.principals import Principal
from core.contracts.storage import ObjectStorage

Identify = Callable[[HTTPConnection], Principal | None]


@dataclass(frozen=True)
class MountSettings:
    """What the mounted APIs may know. Nothing else is read: no environment, no `.env`.

    `conninfo` is what libpq takes, or a callable where the password is a token that expires.
    `identify` says who calls, None for the public; it may block, and raises for a credential that is wrong.
    """

    conninfo: str | Callable[[], str]
    identify: Identify
    storage: ObjectStorage
    prefix: str = "/api"
    public_url: str | None = None  #: scheme, host and path that links start with; None takes the request's own
    pool_size: int = 3  #: connections per API
    statement_seconds: int = 30  #: no query of a caller runs longer


@dataclass(frozen=True)
class Mount:
    """An API under its prefix. Enter `lifespan` in the parent's: a mounted app's own never runs."""

    prefix: str
    app: ASGIApp
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    probe: Callable[[], Coroutine[object, object, object]]  #: asks its database sessions; raises DatabaseUnavailable

    @property
    def name(self) -> str:
        """The last part of the prefix."""
        return self.prefix.rpartition("/")[2]


def build_mounts(settings: MountSettings) -> list[Mount]:
    """STAC API, OGC API Features with vector tiles, COG tiles and asset downloads, ready for `app.mount`."""
    from triggers.web.explicit import take_only_arguments

    take_only_arguments()
    from triggers.web import assets, catalogue, features, raster

    return [module.mount(settings) for module in (catalogue, features, raster, assets)]
