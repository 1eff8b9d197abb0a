"""How fast does the service accept jobs over HTTP, and how late is it while workers are busy?"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import rig
from config import inherited

_KEY = "benchmark-key-benchmark-key"
_PATH = "/api/jobs/submit/hello_world"


def measure(url: str, n: int, workers: int, batch: int) -> dict[str, object]:
    """n submissions as fast as eight clients can, then 50 a second for 10 s while workers are busy with them."""
    with _service(url) as port:
        _submit(port, "warm", 20)
        started = time.perf_counter()
        threads = [threading.Thread(target=_submit, args=(port, f"burst-{c}", n // 8)) for c in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = 8 * (n // 8) / (time.perf_counter() - started)
        with _busy(url, workers):
            late = sorted(_paced(port, per_second=50, seconds=10))
    return {
        "requests": n,
        "requests_per_s": round(rate, 1),
        "p50_ms_at_50_per_s": round(statistics.median(late), 1),
        "p99_ms_at_50_per_s": round(late[int(len(late) * 0.99)], 1),
    }


def _submit(port: int, name: str, count: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for number in range(count):
        started = time.perf_counter()
        connection.request(
            "POST",
            _PATH,
            json.dumps({"n": 3, "message": f"{name}-{number}"}),
            {"X-API-Key": _KEY, "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (200, 202), body
        taken.append((time.perf_counter() - started) * 1000)
    return taken


def _paced(port: int, per_second: int, seconds: int) -> list[float]:
    """Milliseconds from when each request was due, so that a stall counts for all it delays."""
    taken: list[float] = []
    lock = threading.Lock()
    begin = time.perf_counter() + 0.2

    def client(offset: int, clients: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in range(offset, per_second * seconds, clients):
            due = begin + number / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request(
                "POST",
                _PATH,
                json.dumps({"n": 3, "message": f"paced-{number}"}),
                {"X-API-Key": _KEY, "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 202)
            with lock:
                taken.append((time.perf_counter() - due) * 1000)

    threads = [threading.Thread(target=client, args=(c, 4)) for c in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


@contextmanager
def _service(url: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "triggers.cli", "serve"]
    process = subprocess.Popen(command, env=_environment(url, port), cwd=rig.ROOT, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/api/livez")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _busy(url: str, workers: int) -> Iterator[None]:
    command = [sys.executable, "-m", "triggers.cli", "worker", "--processes", str(workers)]
    process = subprocess.Popen(command, env=_environment(url, 1), cwd=rig.ROOT, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _environment(url: str, port: int) -> dict[str, str]:
    home = rig.ROOT / ".local/bench/home"
    home.mkdir(parents=True, exist_ok=True)
    return inherited(
        DATABASE_URL=url,
        GEOMACHINE_HOME=str(home),
        GEOMACHINE_PORT=str(port),
        GEOMACHINE_KEY=_KEY,
        PYTHONPATH=str(rig.ROOT),
        PATH=os.environ.get("PATH", ""),
    )
