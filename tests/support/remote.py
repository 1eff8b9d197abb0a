"""Somebody else's web server: answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from urllib.parse import parse_qsl, urlsplit

LOOPBACK = "127.0.0.0/8"  #: the network to allow


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Says:
    """An answer. `pieces` are sent one after another, each with a wait in front, in place of `body`."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None
    wait: float = 0.0


class Remote:
    """A server on a free port. `answer` may be replaced at any time."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Says] = lambda _: Says(status=404)
        self.closing = threading.Event()
        self.port = server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def serves(self, routes: Mapping[str, Says]) -> None:
        """Answer by path; 404 elsewhere."""
        self.answer = lambda asked: routes.get(asked.path, Says(status=404))


@contextmanager
def serving(tls: SSLContext | None = None) -> Iterator[Remote]:
    """A running server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        remote = Remote(server, "https" if tls else "http")
        server.RequestHandlerClass = _handler(remote)  # type: ignore[assignment]
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up on purpose
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield remote
        finally:
            remote.closing.set()
            server.shutdown()
            thread.join(5)


def _handler(remote: Remote) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            remote.asked.append(asked)
            said = remote.answer(asked)
            if said.pieces is None:
                remote.closing.wait(said.wait)
            self.send_response(said.status)
            if said.pieces is None:
                self.send_header("Content-Length", str(len(said.body)))
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in said.pieces or (said.body,):
                if said.pieces is not None and remote.closing.wait(said.wait):
                    return
                self.wfile.write(piece)
                self.wfile.flush()

        do_GET = do_POST = _serve  # noqa: N815  # the names http.server looks for

        def log_message(self, *_: object) -> None:
            """Nothing: what was asked is in `asked`."""

    return Handler
