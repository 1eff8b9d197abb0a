"""One full comparison of a large catalogue, in a process of its own, the first and the second time.

python benchmarks/consistency.py [--items 100000] [--tables 2000]

The other items are COGs whose files are empty and of the right size. A RESULT line has wall seconds, CPU seconds of
client and server, and the client's peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a file, but importing from the repository

import psycopg  # noqa: E402

from benchmarks import meter, rig  # noqa: E402

ROUTE = "/api/admin/consistency/run"


def main() -> None:
    """Make the catalogue, and compare it twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--tables", type=int, default=2_000)
    parser.add_argument("--compare", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.compare:
        compare(*given.compare)
        return
    with tempfile.TemporaryDirectory(dir=rig.ROOT / ".local") as folder, rig.database("on") as url:
        make(url, Path(folder), given.items, given.tables)
        for _ in range(2):
            command = [sys.executable, __file__, "--compare", url, folder]
            subprocess.run(command, check=True, cwd=rig.ROOT)


def make(url: str, home: Path, items: int, tables: int) -> None:
    """One raster and one table through the pipeline, the others from them."""
    from tests.support.api import serve
    from tests.support.hills import approve, make_hills
    from tests.support.many import make_many

    with serve(url, home) as api:
        for job in make_hills(api, home).values():
            approve(api, job)
        make_many(url, api.runtime.storage, home / "storage", rasters=items - tables - 2, tables=tables, copies=False)


def compare(url: str, home: str) -> None:
    """One comparison, measured."""
    from tests.support.api import serve

    with serve(url, Path(home)) as api, psycopg.connect(url, autocommit=True) as conn:
        read = meter.Meter(conn, [])
        before, started, used = read.read(), time.perf_counter(), time.process_time()
        job = api.of("ada").post(ROUTE).json()["job_id"]
        api.drain()
        seconds, used, after = time.perf_counter() - started, time.process_time() - used, read.read()
        result = api.get(f"/api/jobs/status/{job}")["resultData"]
        found = {name: result["compared"][name] for name in ("items", "blobs", "tables", "counts")}
        server = None if after.server_cpu is None else round(after.server_cpu - (before.server_cpu or 0), 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        cost = {"seconds": round(seconds, 1), "client_cpu": round(used, 1), "server_cpu": server, "peak_mb": peak}
        print("RESULT", json.dumps({**found, "measured": result["measured"]["measured"], **cost}), flush=True)


if __name__ == "__main__":
    main()
