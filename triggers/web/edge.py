"""What every request to a mounted API passes first: who asks, which address links start with, what caches may keep."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.contracts.principals import Principal
from triggers.web import cql, docs, problems
from triggers.web.mounts import MountSettings

_CALLER = "geomachine.caller"
_TILE_SECONDS = 300


@dataclass(frozen=True)
class View:
    """What of the catalogue a caller may and wants to see: the last parameters of every statement in serving.sql."""

    everything: bool = False  #: reviewers and admins
    client_id: str | None = None  #: whose drafts a partner sees
    published: bool | None = True  #: the state asked for; None for any

    @property
    def parameters(self) -> tuple[bool, str | None, bool | None]:
        """In the order of the statements."""
        return (self.everything, self.client_id, self.published)

    @property
    def whole(self) -> bool:
        """True when nothing is hidden, so that nothing needs to be looked up."""
        return self.everything and self.published is None


def view_of(request: Request) -> View:
    """The caller's view. That of the public where nobody asked, so that a gap shows too little."""
    caller = cast("Principal | None", request.scope.get(_CALLER))
    if caller is None:
        return View()
    match request.query_params.get("published", "").lower():
        case "true":
            published: bool | None = True
        case "false":
            published = False
        case _:
            published = None
    return View(caller.sees_everything, caller.client_id, published)


def site_url(request: Request, settings: MountSettings) -> str:
    """The address of the whole site without a slash at its end: mounts hang below it."""
    root = str(request.base_url).rstrip("/")
    return root[: root.rindex(settings.prefix + "/")] if settings.prefix + "/" in root else root


class Edge:
    """Wraps a mounted app. Paths that start as `hidden` says do not exist."""

    def __init__(self, app: ASGIApp, settings: MountSettings, *, hidden: tuple[str, ...] = ()) -> None:
        self._app = app
        self._settings = settings
        self._hidden = hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._addressed(scope)
        # Checking a credential may ask the database or the identity provider.
        scope[_CALLER] = await asyncio.to_thread(self._settings.identify, Request(scope))
        inner = self._inner(scope)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark_cacheable(MutableHeaders(scope=message), message["status"], scope)
            await send(message)

        await inner(scope, receive, send_marked)

    def _inner(self, scope: Scope) -> ASGIApp:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/api.html":
            return docs.swagger_page(f"{scope['app_root_path']}/api", static=docs.static_url(scope))
        problem = problems.Problem(404, "Not Found") if path.startswith(self._hidden or "\0") else _refusal(scope)
        return problems.answer(Request(scope), problem) if problem else self._app

    def _addressed(self, scope: Scope) -> Scope:
        """The scope under which the libraries build links with the mount's prefix, and answer no HTML of their own.

        Starlette keeps the outermost root path in `app_root_path` and prefers it, which loses the prefix.
        The libraries' HTML pages load scripts from elsewhere; the console has pages of its own.
        """
        headers = MutableHeaders(raw=list(scope["headers"]))
        if "text/html" in headers.get("accept", ""):
            headers["accept"] = "*/*"
        root, scheme = scope.get("root_path", ""), scope["scheme"]
        if self._settings.public_url:
            url = urlsplit(self._settings.public_url)
            scheme, headers["host"] = url.scheme, url.netloc
            root = url.path.rstrip("/") + root[root.rindex(self._settings.prefix + "/") :]
        addressed = {**scope, "headers": headers.raw, "scheme": scheme, "app_root_path": root}
        # The outermost router would answer url_for with routes of the parent that happen to have the same name.
        addressed.pop("router", None)
        return addressed


def _refusal(scope: Scope) -> problems.Problem | None:
    try:
        for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
            if name == "filter":
                cql.refuse_unparsable(value)
    except HTTPException as e:
        return problems.Problem(e.status_code, str(e.detail))
    return None


def _mark_cacheable(headers: MutableHeaders, status: int, scope: Scope) -> None:
    headers.add_vary_header("X-API-Key, Authorization")
    if scope[_CALLER] is not None:
        headers["cache-control"] = "private, no-store"
    elif status == 200 and _is_tile(headers):
        headers["cache-control"] = f"public, max-age={_TILE_SECONDS}"
    else:
        headers["cache-control"] = "no-cache"


def _is_tile(headers: Headers) -> bool:
    kind = headers.get("content-type", "")
    return kind.startswith("image/") or kind in ("application/x-protobuf", "application/vnd.mapbox-vector-tile")
