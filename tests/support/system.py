"""A whole system for acceptance tests: real processes on a database and a home of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from config import inherited
from core.contracts.storage import BlobName
from infrastructure.storage.local import LocalStorage
from tests.support.remote import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
KEY = "gm_acceptance_key"


@dataclass(frozen=True)
class System:
    """Where a system answers, and what lies behind it."""

    base_url: str
    key: str
    conninfo: str
    home: Path

    def client(self, *, anonymous: bool = False) -> httpx.Client:
        """An HTTP client, with the admin key unless told otherwise."""
        headers = {} if anonymous else {"X-API-Key": self.key}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=60, trust_env=False)

    @property
    def storage(self) -> LocalStorage:
        """The blobs of this system."""
        return LocalStorage(self.home / "storage")

    def upload(self, file: Path, container: str, path: str | None = None) -> BlobName:
        """Put a file into the bronze zone."""
        name = BlobName(container, path or file.name)
        self.storage.upload(file, name)
        return name

    def finish(self, client: httpx.Client, request_id: str, seconds: float = 120) -> dict:
        """Wait until a request's job has ended; its status."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            status = client.get(f"/api/platform/status/{request_id}").json()
            if status["job_status"] not in ("queued", "processing"):
                return status
            time.sleep(0.1)
        raise AssertionError(f"request {request_id} did not finish: {status}")


def environment(conninfo: str, home: Path, **more: str) -> dict[str, str]:
    """What a process of the system finds in its environment."""
    # The admin key submits and approves; what tests call is on this machine.
    alone = {"APPROVAL_ALLOW_SELF": "true", "WEBHOOK_SECRET": KEY, "OUTBOUND_ALLOWED_NETWORKS": LOOPBACK}
    return inherited(
        DATABASE_URL=conninfo, GEOMACHINE_HOME=str(home), GEOMACHINE_KEY=KEY, PYTHONPATH=str(ROOT), **(alone | more)
    )


@contextmanager
def process(command: str, env: dict[str, str], log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `geomachine` process while inside."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            [sys.executable, "-m", "triggers.cli", command, *arguments], env=env, stdout=out, stderr=out, cwd=ROOT
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def service(conninfo: str, home: Path, **more: str) -> Iterator[System]:
    """The service under uvicorn, with one worker beside it; `more` are settings of both."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    env = environment(conninfo, home, GEOMACHINE_PORT=str(port), **more)
    with process("serve", env, home / "serve.log"), process("worker", env, home / "worker.log"):
        system = System(f"http://127.0.0.1:{port}", KEY, conninfo, home)
        wait_until_ready(system, home / "serve.log")
        yield system


def wait_until_ready(system: System, log: Path, seconds: float = 60) -> None:
    """Wait for readyz."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if httpx.get(f"{system.base_url}/api/readyz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the service did not come up: {log.read_text()[-3000:]}")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
