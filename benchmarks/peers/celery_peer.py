"""Celery on Redis: a chain of a head and a chord. `durable` acknowledges late and has Redis flush every write.

Run by report.py in an environment of its own: `celery_peer.py SCENARIO N JOBS FAN WORKERS`, with REDIS_PORT set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from celery import Celery, chain, chord

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"
app = Celery("celery_peer", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="one")
def one(value: int) -> int:
    """Do nothing."""
    return value


@app.task(name="add")
def add(values: list[int]) -> int:
    """Read all answers."""
    return sum(values)


def main(scenario: str, n: int, jobs: int, fan: int, workers: int) -> None:
    """Start the workers, run the scenario, print the result."""
    import redis

    redis.Redis.from_url(URL).flushall()
    command = [sys.executable, "-m", "celery", "-A", "celery_peer", "worker", "-P", "prefork", "-l", "ERROR"]
    command += ["-c", str(workers), "--without-gossip", "--without-mingle"]
    running = subprocess.Popen(command, cwd=Path(__file__).parent, start_new_session=True)
    try:

        def submit(width: int):
            return chain(one.si(-1), chord([one.si(i) for i in range(width)], add.s())).apply_async()

        assert submit(5).get(timeout=60) == 10
        widths = [n] if scenario == "fan" else [fan] * jobs
        started = time.perf_counter()
        if scenario == "seq":
            totals = [submit(w).get(timeout=60) for w in widths]
        else:
            totals = [h.get(timeout=280) for h in [submit(w) for w in widths]]
        seconds = time.perf_counter() - started
        assert totals == [sum(range(w)) for w in widths]
    finally:
        running.terminate()
        running.wait(30)
    tasks = sum(w + 2 for w in widths)
    result = {"peer": "celery", "version": version("celery"), "scenario": scenario, "tasks": tasks, "wall_s": seconds}
    print("RESULT " + json.dumps({**result, "tasks_per_s": tasks / seconds, "job_ms": seconds * 1000 / len(widths)}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
