"""What surrounds every request: an id for the logs, limits on the body, headers, JSON for every failure."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import structlog
from opentelemetry import trace
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config import ServerSettings
from core.errors import GeomachineError, InvalidRequest
from triggers.http import errors, payloads

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_AT_ONCE = 1 << 17  #: bytes of JSON that may be read without leaving the event loop
_NOT_IN_AN_ID = re.compile(r"[^\w.:/+=@-]", re.ASCII)
_CREDENTIALS = ("x-api-key", "authorization", "x-ms-client-principal")

#: What an answer has unless its route says otherwise; pages have policies of their own.
_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Surroundings:
    """Pure ASGI, so that streamed answers stream. `settings` gives the limits when a body comes."""

    def __init__(self, app: ASGIApp, settings: Callable[[], ServerSettings]) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = _NOT_IN_AN_ID.sub("", request.headers.get("x-request-id", ""))[:64]
        request.state.request_id = given or uuid.uuid4().hex
        started = False

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _mark(MutableHeaders(scope=message), request)
            await send(message)

        _describe(trace.get_current_span(), request)
        with structlog.contextvars.bound_contextvars(request_id=request.state.request_id):
            try:
                await self._app(scope, await self._checked(request, receive), marked)
            except HTTPException as e:
                await errors.refusal(request, e)(scope, receive, marked)
            except GeomachineError as e:
                if started:
                    raise
                await errors.answer(request, e)(scope, receive, marked)
            except Exception as e:  # the edge of the HTTP trigger
                if started:
                    raise
                await errors.unexpected(request, e)(scope, receive, marked)

    async def _checked(self, request: Request, receive: Receive) -> Receive:
        """The body, read and found usable where it is JSON. Raises InvalidRequest, or HTTPException for a large one."""
        for name, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if "\0" in name + value:
                shown = name.replace("\0", "")[:100]
                raise InvalidRequest(f"{shown}: holds the character NUL, which no text may have.")
        kind = request.headers.get("content-type", "")
        limited = self._limited(receive)
        if request.method not in _WITH_BODY or (kind and "json" not in kind):
            return limited
        body = bytearray()
        while (message := await limited())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        if body:
            deepest = self._settings().max_json_depth
            if len(body) <= _AT_ONCE:
                payloads.refuse_unusable(bytes(body), deepest)
            else:
                await asyncio.to_thread(payloads.refuse_unusable, bytes(body), deepest)
        return _replayed(message, bytes(body), receive)

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken and taken > (limit := self._settings().max_body_mb << 20):
                # Not one of ours: FastAPI turns any other exception raised while it reads a body into a 400.
                raise HTTPException(413, f"The request body is larger than {limit >> 20} MiB.")
            return message

        return counted


def _describe(span: trace.Span, request: Request) -> None:
    """What the request's span tells. Of the query only the names: values hold keys and signed URLs now and then."""
    span.set_attribute("geomachine.request_id", request.state.request_id)
    if names := request.query_params.keys():
        span.set_attribute("url.query", "&".join(names))


def _replayed(last: Message, body: bytes, receive: Receive) -> Receive:
    """Says once what was read, then what comes after it."""
    waiting = [{**last, "body": body} if last["type"] == "http.request" else last]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _mark(headers: MutableHeaders, request: Request) -> None:
    headers["X-Request-ID"] = request.state.request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if request.scope["scheme"] == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if any(name in request.headers for name in _CREDENTIALS):
        headers.setdefault("Cache-Control", "no-store")
