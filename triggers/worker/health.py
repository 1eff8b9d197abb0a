"""How is the worker, and does it log? Anonymous probes, answered by the parent, which no handler can block."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from core.errors import ConfigurationError
from infrastructure.telemetry import trial


class State(StrEnum):
    """What a runner is doing."""

    STARTING = "starting"  #: loading its code
    IDLE = "idle"  #: nothing is due
    RUNNING = "running"  #: a handler runs
    WAITING = "waiting"  #: no answer from the database
    STOPPING = "stopping"  #: asked to end
    RESTARTING = "restarting"  #: died; the next one starts soon


@dataclass(frozen=True)
class RunnerState:
    """One runner; `seconds` is how long its task has run."""

    pid: int | None
    worker: str | None
    state: State
    task_id: str | None = None
    seconds: float | None = None
    memory_mb: float | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Report:
    """The whole worker: healthy, degraded while a runner does not work, or shutting_down."""

    status: str
    uptime_seconds: float
    runners: Sequence[RunnerState]

    @property
    def ready(self) -> bool:
        """True while at least one runner takes work."""
        return self.status != "shutting_down" and any(r.state in (State.IDLE, State.RUNNING) for r in self.runners)


@contextmanager
def served(host: str, port: int, report: Callable[[], Report]) -> Iterator[None]:
    """Answer probes while inside; port 0 means not at all. Raises ConfigurationError when the port is taken."""
    if port == 0:
        yield
        return
    try:
        server = ThreadingHTTPServer((host, port), _handler(report))
    except OSError as e:
        raise ConfigurationError(f"WORKER_HEALTH_PORT {port} on {host} cannot be used: {e.strerror}.") from e
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _handler(report: Callable[[], Report]) -> type[BaseHTTPRequestHandler]:
    def answer(path: str) -> tuple[HTTPStatus, object]:
        match path.partition("?")[0]:
            case "/livez":
                return HTTPStatus.OK, {"status": "alive"}
            case "/readyz":
                now = report()
                return _status(now.ready), {"status": now.status}
            case "/test/logging":
                marker = trial.write()
                return HTTPStatus.OK, {"marker": marker, "verify_url": f"/test/logging/verify?marker={marker}"}
            case "/test/logging/verify":
                return _verified(path.rpartition("marker=")[2])
            case "/health":
                now = report()
                return _status(now.status == "healthy"), asdict(now)
        return HTTPStatus.NOT_FOUND, {
            "error": "There are /health, /livez, /readyz, /test/logging and /test/logging/verify."
        }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds: not logged."""

    return Handler


def _status(good: bool) -> HTTPStatus:
    return HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE


def _verified(marker: str) -> tuple[HTTPStatus, object]:
    found = trial.find(marker)
    if found is None:
        return HTTPStatus.NOT_FOUND, {"error": "No line with this marker is remembered. Ask /test/logging again."}
    return HTTPStatus.OK, {"marker": marker, "written": found.levels}
