"""Application Insights: takes telemetry as its exporter sends it, or fails as its endpoint can."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "0d8b4f7e-1111-4222-8333-444455556666"
STATISTICS = "9d8b4f7e-1111-4222-8333-444455556666"  #: whose key the exporter's reports on itself have
SILENT = 0  #: takes the request and never answers


@dataclass
class Ingested:
    """What came: envelopes as the service stores them, their bytes, and who was asked for besides."""

    url: str = ""
    status: int = 200
    envelopes: list[dict] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    asked: int = 0
    elsewhere: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def connection_string(self) -> str:
        """What a process is configured with."""
        return f"InstrumentationKey={KEY};IngestionEndpoint={self.url}/;LiveEndpoint={self.url}/live"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a process that sends here; whatever else it calls, it calls through us."""
        return {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": self.connection_string,
            "APPLICATIONINSIGHTS_STATS_CONNECTION_STRING": self.connection_string.replace(KEY, STATISTICS),
            "APPLICATIONINSIGHTS_STATS_SHORT_EXPORT_INTERVAL": "1",
            "HTTPS_PROXY": self.url,
            "https_proxy": self.url,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def of(self, kind: str, operation: str | None = None) -> list[dict]:
        """The envelopes of one base type, as RequestData; with `operation` those of one operation id."""
        return [
            each
            for each in self.envelopes
            if each["data"]["baseType"] == kind and operation in (None, each["tags"].get("ai.operation.id"))
        ]


@contextmanager
def ingesting(status: int = 200) -> Iterator[Ingested]:
    """An ingestion endpoint while inside, which answers everything with `status`."""
    found = Ingested(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked += 1
            if found.status == SILENT:
                found.over.wait()
                return
            items = _kept(found, self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
            self._answer(json.dumps({"itemsReceived": items, "itemsAccepted": items, "errors": []}).encode())

        def do_CONNECT(self) -> None:
            found.elsewhere.append(self.path)
            self.send_error(502)

        def do_GET(self) -> None:
            found.elsewhere.append(self.path)
            self.send_error(404)

        def _answer(self, body: bytes) -> None:
            self.send_response(found.status)
            if found.status == 429:
                self.send_header("Retry-After", "3600")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield found
    finally:
        found.over.set()
        server.shutdown()
        server.server_close()


def _kept(found: Ingested, path: str, body: bytes) -> int:
    if path != "/v2.1/track":
        found.elsewhere.append(path)
        return 0
    found.raw.append(body.decode())
    items = json.loads(body)
    found.elsewhere += [f"{path} for {each['iKey']}" for each in items if each["iKey"] != KEY]
    if found.status == 200:
        found.envelopes += items
    return len(items)
