"""Runs the Function App under Microsoft's Python engine for as long as a test needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
# A Function App sees the platform's environment and its own settings, not the developer's.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")

needs_engine = pytest.mark.skipif(sys.version_info < (3, 13), reason="Microsoft's engine needs Python 3.13 or later")


@dataclass(frozen=True)
class Invocation:
    """How one fired function ended. `logs` are the messages it wrote meanwhile."""

    succeeded: bool
    returned: object
    error: str
    stack: str
    seconds: float
    logs: list[str]


@dataclass(frozen=True)
class FunctionsHost:
    """A running host."""

    base_url: str
    functions: dict[str, list[dict]]
    problems: list[str]
    log_file: Path

    def fire(self, name: str, payload: str | Mapping[str, object] = "", *, delivery_count: int = 1) -> Invocation:
        """Invoke a timer, or deliver `payload` as one Service Bus message, and wait until the function ends."""
        body = payload if isinstance(payload, str) else json.dumps(payload)
        url = f"{self.base_url}/admin/minihost/fire/{name}"
        answer = httpx.post(url, content=body, params={"delivery_count": delivery_count}, timeout=150)
        assert answer.status_code == 200, f"{answer.text}; there are {', '.join(self.functions)}"
        return Invocation(**answer.json())

    def log(self) -> str:
        """Everything the host and the app wrote so far."""
        return self.log_file.read_text(errors="replace")


@contextmanager
def functions_host(settings: Mapping[str, str], app: Path = ROOT) -> Iterator[FunctionsHost]:
    """Serve the app on a free port with these app settings; ends with the block, or with the test process."""
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(settings)
    command = [sys.executable, "-m", "tests.minihost", "--app", str(app), "--serve", "0"]
    with (
        tempfile.NamedTemporaryFile("w", prefix="functions-host-", suffix=".log") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            first = process.stdout.readline()
            assert first, f"the app did not start:\n{Path(log.name).read_text()}"
            yield FunctionsHost(**_announced(first), log_file=Path(log.name))
        finally:
            process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
            print(Path(log.name).read_text(errors="replace"))  # shown when the test fails


def _announced(line: str) -> dict:
    document = json.loads(line)
    return {key: document[key] for key in ("base_url", "functions", "problems")}
