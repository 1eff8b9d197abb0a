"""The HTTP face of the host: the app's own routes, and one to fire any function by name."""

from __future__ import annotations

import sys
import time
import uuid

from aiohttp import web

from . import payloads, routes, wire
from .worker import InvocationFailed, Worker

FIRE = "/admin/minihost/fire/"
_BODY_LIMIT = 104_857_600
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


class Front:
    """Turns HTTP requests into invocations and their results into responses."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.routes = routes.build(worker.app)

    async def listen(self, port: int) -> tuple[web.AppRunner, int]:
        """Serve on 127.0.0.1; port 0 takes a free one."""
        application = web.Application(client_max_size=_BODY_LIMIT)
        application.router.add_route("*", "/{tail:.*}", self._dispatch)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner, runner.addresses[0][1]

    async def _dispatch(self, request: web.Request) -> web.Response:
        if request.path.startswith(FIRE) and request.method == "POST":
            return await self._fire(request)
        if request.path.startswith(("/admin", "/runtime")):
            return web.Response(status=404)
        found = routes.find(self.routes, request.raw_path.partition("?")[0], request.method)
        if found is None:  # the host says 404 also when only the method is wrong
            return web.Response(status=404)
        route, params = found
        if route.function.trigger.get("authLevel", "function").lower() != "anonymous":
            return web.Response(status=401)
        data = wire.TypedData(http=await _rpc_http(request, params))
        try:
            reply = await self.worker.invoke(route.function, data, {})
        except InvocationFailed as e:  # what the host shows a caller when the function raised: nothing
            print(f"{route.function.name} failed: {e}\n{e.stack}", file=sys.stderr, flush=True)
            return web.Response(status=500)
        return _response(reply.return_value)

    async def _fire(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix(FIRE)
        fn = next((f for f in self.worker.app.functions if f.name == name), None)
        if fn is None:
            return web.json_response({"error": f"no function is named {name!r}"}, status=404)
        if fn.kind == "timertrigger":
            data, metadata = payloads.timer()
        else:
            delivery = int(request.query.get("delivery_count", 1))
            data, metadata = payloads.service_bus(await request.text(), delivery_count=delivery)
        invocation, start = str(uuid.uuid4()), time.perf_counter()
        result = {"succeeded": True, "returned": None, "error": "", "stack": ""}
        try:
            reply = await self.worker.invoke(fn, data, metadata, invocation)
            result["returned"] = payloads.plain(reply.return_value)
        except InvocationFailed as e:
            result |= {"succeeded": False, "error": str(e), "stack": e.stack}
        result |= {"seconds": time.perf_counter() - start, "logs": self.worker.logs.pop(invocation, [])}
        return web.json_response(result)


async def _rpc_http(request: web.Request, params: dict[str, str]):
    """Header names in lower case, repeated ones joined, empty query values dropped, as the host does."""
    headers: dict[str, str] = {}
    for key, value in request.headers.items():
        name = key.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query: dict[str, str] = {}
    for key, value in request.query.items():
        query[key] = f"{query[key]},{value}" if key in query else value
    message = wire.RpcHttp(
        method=request.method,
        url=f"http://{request.host}{request.raw_path}",
        headers=headers,
        params=params,
        query={k: v for k, v in query.items() if v},
    )
    if request.content_length:  # a body sent without a length (chunked) never reaches the function
        message.body.CopyFrom(wire.TypedData(bytes=await request.read()))
    return message


def _response(data) -> web.Response:
    if data.WhichOneof("data") != "http":
        raise TypeError("HTTP functions of this app return func.HttpResponse")
    http = data.http
    kind = http.body.WhichOneof("data")
    raw = getattr(http.body, kind) if kind else b""
    response = web.Response(status=int(http.status_code or 200), body=raw.encode() if isinstance(raw, str) else raw)
    response.headers.popall("Content-Type", None)
    for key, value in http.headers.items():
        if key.lower() not in _HOP_BY_HOP:
            response.headers[key] = value
    for cookie in http.cookies:
        response.set_cookie(
            cookie.name,
            cookie.value,
            path=cookie.path.value or "/",
            max_age=int(cookie.max_age.value) if cookie.HasField("max_age") else None,
            secure=cookie.secure.value,
            httponly=cookie.http_only.value,
            samesite={1: "Lax", 2: "Strict", 3: "None"}.get(cookie.same_site),
        )
    return response
