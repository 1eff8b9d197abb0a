"""Who sends a request, from where, and may he send another one now? Asked once for every request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import HTTPConnection

from config import ServerSettings
from core.contracts.principals import Principal
from core.errors import Unauthenticated
from infrastructure.auth import Credentials
from triggers.http.limits import TokenBuckets

#: Who shows METRICS_KEY: no role, so that only the route which knows him lets him in.
METRICS_READER = Principal("metrics", frozenset(), client_id="metrics", credential="metrics key")
_WITH_PORT = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::\d+)?$")


class Gate:
    """Checks credentials and rates."""

    def __init__(self, settings: ServerSettings, credentials: Credentials) -> None:
        self.credentials = credentials
        self._proxies = settings.proxies
        self._known = TokenBuckets(settings.rate, settings.burst)
        self._public = TokenBuckets(settings.public_rate, settings.public_burst)

    def admit(self, request: HTTPConnection) -> Principal | None:
        """The caller, None for the public. Raises Unauthenticated, IdentityUnavailable or RateLimited."""
        address = self.address(request)
        if self.credentials.unfamiliar(request.headers):
            self._public.require(address)  # who tries keys out does not have each looked up
        try:
            found = self.credentials.identify(request.headers)
        except Unauthenticated:
            self._public.take(address)  # who tries keys out is slowed down
            raise
        if found is None:
            self._public.take(address)
            return None
        if found.limited:
            self._known.take(f"{found.credential} {found.client_id}")
        return replace(found, address=address, request_id=getattr(request.state, "request_id", None))

    def address(self, request: HTTPConnection) -> str:
        """Where the request comes from: what the outermost trusted proxy saw, else the other end of the connection."""
        peer = request.client.host if request.client else "unknown"
        if not self._proxies:
            return peer
        seen = _forwarded(request.headers.getlist("x-forwarded-for"))
        return seen[-self._proxies] if len(seen) >= self._proxies else peer


def _forwarded(lines: Sequence[str]) -> list[str]:
    """The addresses in X-Forwarded-For, without the ports that Azure adds.

    A proxy may add a line of its own behind the caller's instead of going on in that.
    """
    parts = [part.strip()[:64] for part in ",".join(lines).split(",") if part.strip()]
    found = []
    for part in parts:
        match = _WITH_PORT.match(part)
        found.append((match["v6"] or match["v4"]) if match else part)
    return found
