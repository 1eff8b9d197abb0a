"""What every request to a mounted API passes first: who asks, which address links start with, what caches may keep."""

from __future__ import annotations

import inspect
from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triggers.web import cql, docs, problems
from triggers.web.mounts import MountSettings

_SEES_ALL = "geomachine.sees_all"
_TILE_SECONDS = 300


def sees_all(request: Request) -> bool:
    """Whether the caller has a role. False where nobody asked, so that a gap shows too little."""
    return bool(request.scope.get(_SEES_ALL, False))


def wanted_state(request: Request) -> bool | None:
    """Which `app:published` the caller may and wants to see; None for any."""
    if not sees_all(request):
        return True
    match request.query_params.get("published", "").lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            return None


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
        verdict = self._settings.may_see_all(scope)
        scope[_SEES_ALL] = bool(await verdict) if inspect.isawaitable(verdict) else bool(verdict)
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
    if scope[_SEES_ALL]:
        headers["cache-control"] = "private, no-store"
    elif status == 200 and _is_tile(headers):
        headers["cache-control"] = f"public, max-age={_TILE_SECONDS}"
    else:
        headers["cache-control"] = "no-cache"


def _is_tile(headers: Headers) -> bool:
    kind = headers.get("content-type", "")
    return kind.startswith("image/") or kind in ("application/x-protobuf", "application/vnd.mapbox-vector-tile")
