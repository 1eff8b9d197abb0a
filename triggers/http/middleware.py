"""What surrounds every request: an id for the logs, a limit on the body, JSON for every failure."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triggers.http import errors


class Surroundings:
    """Pure ASGI, so that streamed answers stream. `max_body` gives the limit in bytes when a body comes."""

    def __init__(self, app: ASGIApp, max_body: Callable[[], int]) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = Headers(scope=scope).get("x-request-id", "")[:64] or uuid.uuid4().hex
        started = False

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request.state.request_id
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request.state.request_id):
            try:
                await self._app(scope, self._limited(receive), marked)
            except HTTPException as e:
                await errors.refusal(request, e)(scope, receive, marked)
            except Exception as e:  # the edge of the HTTP trigger
                if started:
                    raise
                await errors.unexpected(request, e)(scope, receive, marked)

    def _limited(self, receive: Receive) -> Receive:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken and taken > (limit := self._max_body()):
                # Not one of ours: FastAPI turns any other exception raised while it reads a body into a 400.
                raise HTTPException(413, f"The request body is larger than {limit >> 20} MiB.")
            return message

        return counted
