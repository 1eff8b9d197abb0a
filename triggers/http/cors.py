"""Whose pages may call the API from a browser? Nobody's, unless the settings name them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ALLOWED = ("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Range", "X-API-Key", "X-Request-ID")
_EXPOSED = ("Accept-Ranges", "Content-Length", "Content-Range", "ETag", "Link", "Retry-After", "X-Request-ID")


class Cors:
    """Starlette's middleware with the origins of the settings, which are asked for when a browser's request comes."""

    def __init__(self, app: ASGIApp, origins: Callable[[], tuple[str, ...]]) -> None:
        self._app = app
        self._origins = origins
        self._sharing: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or "origin" not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        if self._sharing is None:
            self._sharing = self._configured()
        await self._sharing(scope, receive, send)

    def _configured(self) -> ASGIApp:
        origins = self._origins()
        if not origins:
            return self._app
        # Credentials are headers that pages set themselves: cookies are never asked for.
        return CORSMiddleware(
            self._app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ALLOWED,
            expose_headers=_EXPOSED,
            max_age=3600,
        )
