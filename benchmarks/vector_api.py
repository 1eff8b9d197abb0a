"""A vector file through the whole system: service, queue and worker as processes of their own, asked over HTTP."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString

import httpx
import psycopg

from tests.support import system

_CONTAINER = "bronze-vectors"
#: Seconds from the submit to the job's end, and how many of them no task of the job was at work.
_SPENT: LiteralString = """
select extract(epoch from j.finished_at - j.created_at)::float8,
       extract(epoch from j.finished_at - j.created_at - (
           select sum(upper(r) - lower(r))
           from unnest((
               select range_agg(tstzrange(t.finished_at - t.duration_ms * interval '1 millisecond', t.finished_at))
               from app.tasks t
               where t.job_key = j.job_key)) r))::float8
from app.jobs j where j.job_id = %s
"""


def through_the_api(path: Path, url: str, mode: str) -> Mapping[str, float]:
    """Submit a file to a system that has worked before; `mode` is `function` (in parts) or `docker` (one task)."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, system.service(url, Path(folder)) as running:
        with running.client() as client:
            # The first time, every process of the worker imports its libraries.
            _finished(running, client, path, f"warm-{path.suffix[1:]}-{mode}", mode)
            start = time.perf_counter()
            job = _finished(running, client, path, f"{path.stem}-{path.suffix[1:]}-{mode}", mode)
            wall = time.perf_counter() - start
        with psycopg.connect(url) as conn:
            row = conn.execute(_SPENT, [job]).fetchone()
    assert row is not None  # the job has just ended
    return {"wall_s": wall, "job_s": row[0], "idle_s": row[1]}


def _finished(running: system.System, client: httpx.Client, path: Path, dataset: str, mode: str) -> str:
    running.upload(path, _CONTAINER)
    body = {
        "dataset_id": dataset,
        "resource_id": "bench",
        "version_id": f"v{time.time_ns()}",
        "container_name": _CONTAINER,
        "file_name": path.name,
        "title": "Benchmark",
        "processing_options": {"processing_mode": mode},
    }
    answer = client.post("/api/platform/submit", json=body)
    assert answer.status_code == 202, answer.text
    status = running.finish(client, answer.json()["request_id"], seconds=1800)
    assert status["job_status"] == "completed", status["job_error"]
    return str(answer.json()["job_id"])
