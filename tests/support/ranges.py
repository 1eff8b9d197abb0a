"""An HTTP server of files that counts requests and bytes, and a store whose blobs GDAL reads through it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from core.contracts.storage import BlobName, StoredBlob
from infrastructure.storage.local import LocalStorage


@dataclass
class Traffic:
    """What was asked for."""

    requests: list[str] = field(default_factory=list)
    bytes: int = 0


class RemoteStorage(LocalStorage):
    """A local store that GDAL and readers reach over the network only."""

    def __init__(self, root: Path, address: str, traffic: Traffic) -> None:
        super().__init__(root)
        self._address, self._traffic = address, traffic

    def gdal_path(self, name: BlobName) -> str:
        return f"/vsicurl/{self._address}/{name}"

    def gdal_options(self, name: BlobName) -> Mapping[str, str]:
        return {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}

    def head(self, name: BlobName) -> StoredBlob:
        self._traffic.requests.append("head")
        return super().head(name)

    def stream(self, name: BlobName, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self._whole("stream", name)
        return super().stream(name, start=start, end=end)

    def download(self, name: BlobName, destination: Path) -> StoredBlob:
        self._whole("download", name)
        return super().download(name, destination)

    def _whole(self, how: str, name: BlobName) -> None:
        self._traffic.requests.append(how)
        self._traffic.bytes += super().head(name).size

    def read(self, name: BlobName, *, start: int = 0, length: int | None = None) -> bytes:
        found = super().read(name, start=start, length=length)
        self._traffic.requests.append(f"read {len(found)}")
        self._traffic.bytes += len(found)
        return found


@contextmanager
def remote(root: Path) -> Iterator[tuple[RemoteStorage, Traffic]]:
    """The store and its traffic."""
    traffic = Traffic()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self, *, body: bool) -> None:
            file = root / unquote(self.path).lstrip("/")
            if not file.is_file():
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = file.read_bytes()
            first, last = 0, len(content) - 1
            asked = self.headers.get("Range", "")
            if asked.startswith("bytes="):
                start, _, end = asked.removeprefix("bytes=").partition("-")
                first, last = int(start), min(int(end or last), last)
            part = content[first : last + 1]
            traffic.requests.append(f"{self.command} {first}-{last}")
            traffic.bytes += len(part) if body else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            if body:
                self.wfile.write(part)

        def do_GET(self) -> None:
            self._serve(body=True)

        def do_HEAD(self) -> None:
            self._serve(body=False)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield RemoteStorage(root, f"http://127.0.0.1:{server.server_port}", traffic), traffic
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
