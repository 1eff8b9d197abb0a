"""An OpenTelemetry collector: takes OTLP over HTTP and keeps it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collected:
    """What came, with the name of the process that sent it."""

    url: str = ""
    spans: list[tuple[str, Span]] = field(default_factory=list)
    metrics: set[tuple[str, str]] = field(default_factory=set)

    def trace(self, trace_id: str) -> list[tuple[str, Span]]:
        """The spans of one trace."""
        return [(process, span) for process, span in self.spans if span.trace_id.hex() == trace_id]


def attributes(span: Span) -> dict[str, object]:
    """A span's attributes."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


@contextmanager
def collecting() -> Iterator[Collected]:
    """A collector while inside."""
    found = Collected()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            _keep(found, self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _keep(found: Collected, path: str, body: bytes) -> None:
    if path == "/v1/traces":
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = _process(resource.resource.attributes)
            found.spans += [(process, span) for scope in resource.scope_spans for span in scope.spans]
    elif path == "/v1/metrics":
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            process = _process(resource.resource.attributes)
            found.metrics |= {(process, metric.name) for scope in resource.scope_metrics for metric in scope.metrics}


def _process(attributes: object) -> str:
    return next(pair.value.string_value for pair in attributes if pair.key == "service.name")  # type: ignore[attr-defined]
