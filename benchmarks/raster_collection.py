"""What does a collection of small rasters cost beside converting its files? `raster_collection.py [--files 50]`.

The same files are converted by the same handlers, one after another in one process without a database, and by a worker
with a runner per core. Prints one line `RESULT {json}`; CPU seconds are robust on a busy machine, wall time is not.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psycopg
import rasterio
from psycopg_pool import ConnectionPool
from rasterio.transform import from_origin

from benchmarks import rig
from benchmarks.meter import Meter
from config import inherited
from core.contracts.raster_collection import RasterCollectionParameters
from core.contracts.storage import BlobName
from core.machine.machine import CoreMachine
from core.machine.registry import Registry
from infrastructure.postgres.job_store import PostgresJobStore
from infrastructure.storage.local import LocalStorage
from jobs.registry import JOBS
from services.raster import handlers
from services.registry import HANDLERS

CONTAINER = "bronze-bench"


class NoCatalog:
    """A catalogue without collections."""

    def collection(self, collection_id: str) -> None:
        """Nothing."""

    def members(self, collection_id: str) -> list[object]:
        """Nothing."""
        return []


@dataclass
class Context:
    """What the handlers ask of a task, without a machine behind it."""

    storage: LocalStorage
    workdir: Path
    job_id: str = "0" * 64
    job_type: str = "process_raster_v2"
    attempt: int = 1
    max_raster_pixels: int = 4_000_000_000
    catalog: NoCatalog = field(default_factory=NoCatalog)

    def should_stop(self) -> bool:
        """Never."""
        return False

    def report_progress(self, percent: float, message: str) -> None:
        """To nobody."""

    def commit_with(self, effect: object) -> None:
        """Nowhere."""


def make_files(storage: LocalStorage, prefix: str, count: int, size: int, scratch: Path) -> list[str]:
    """Adjoining three-band pictures with some structure."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(count):
        coarse = rng.integers(0, 230, (3, size // 32, size // 32)).repeat(32, 1).repeat(32, 2)
        pixels = (coarse + rng.integers(1, 25, (3, size, size))).astype(np.uint8)
        path, name = scratch / "made.tif", f"{prefix}{number:03}.tif"
        profile = {"driver": "GTiff", "count": 3, "width": size, "height": size, "dtype": "uint8", "crs": "EPSG:32735"}
        with rasterio.open(path, "w", **profile, transform=from_origin(5e5 + number * size * 10, 9.8e6, 10, 10)) as out:
            out.write(pixels)
        storage.upload(path, BlobName(CONTAINER, name))
        made.append(name)
    return made


def parameters(files: list[str], collection: str) -> RasterCollectionParameters:
    """A collection of these files."""
    given = {"container_name": CONTAINER, "blob_list": files, "collection_id": collection, "access_level": "ouo"}
    return RasterCollectionParameters.model_validate(given)


def convert_alone(home: Path, files: list[str]) -> None:
    """Validate, convert and describe each file, one after another; print CPU and wall seconds."""
    storage = LocalStorage(home / "storage")
    warm, *rest = parameters(files, "alone").members().values()
    for number, member in enumerate((warm, *rest)):
        if number == 1:
            started, cpu = time.monotonic(), cpu_seconds()
        contexts = []
        for phase in ("validate", "cog", "stac"):
            workdir = home / "alone" / f"{number}-{phase}"
            workdir.mkdir(parents=True)
            contexts.append(Context(storage, workdir))
        inspection = handlers.validate(member.to_validate(), contexts[0])
        made = handlers.create_cog(member.to_convert(inspection), contexts[1])
        handlers.extract_stac(member.to_describe(inspection, made), contexts[2])
    print(json.dumps({"cpu_s": cpu_seconds() - cpu, "wall_s": time.monotonic() - started, "files": len(rest)}))


def cpu_seconds() -> float:
    """Of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def worker(url: str, home: Path, runners: int) -> Iterator[int]:
    """A worker while inside; its process number."""
    env = inherited(DATABASE_URL=url, GEOMACHINE_HOME=str(home), PYTHONPATH=str(rig.ROOT))
    command = [sys.executable, "-m", "triggers.cli", "worker", "--processes", str(runners)]
    with (home / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=rig.ROOT)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def collect(url: str, core: CoreMachine, files: list[str], collection: str) -> dict[str, float]:
    """Run the job; how many files it made COGs of, and the seconds that these tasks and the catalogue's took."""
    submitter = rig.Submitter(core, url)
    submitter.wait([core.submit("process_raster_collection_v2", parameters(files, collection)).job_id], 1800)
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(
            "SELECT j.result, (sum(e.duration_ms) FILTER (WHERE e.stage <= 2) / 1000.0)::float AS summed,"
            " (sum(e.duration_ms) FILTER (WHERE e.stage = 3) / 1000.0)::float AS catalogue"
            " FROM app.jobs j JOIN app.job_events e ON e.job_key = j.job_key AND e.event_type = 'task_completed'"
            " WHERE j.parameters ->> 'collection_id' = %s GROUP BY j.job_key",
            [collection],
        ).fetchone()
    assert row is not None and row[0] is not None, "the job failed"
    return {"successful": row[0]["cogs"]["successful"], "summed": row[1], "catalogue": row[2]}


def measure(files: int, size: int, runners: int) -> dict[str, object]:
    """Both ways, on the same files."""
    with tempfile.TemporaryDirectory() as folder, rig.database("on") as url:
        home = Path(folder)
        storage = LocalStorage(home / "storage")
        names = make_files(storage, "f", files, size, home)
        warm = make_files(storage, "warm", 4 * runners, 256, home)
        command = [sys.executable, __file__, "--alone", str(home), "--files", str(files)]
        alone = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        with (
            worker(url, home, runners) as pid,
            ConnectionPool(url, kwargs={"autocommit": True}, min_size=1, max_size=1, open=True) as pool,
            psycopg.connect(url, autocommit=True) as conn,
        ):
            core = CoreMachine(
                Registry(JOBS, HANDLERS), PostgresJobStore(pool), rig.no_resources, worker="bench", log=rig.Silent()
            )
            collect(url, core, warm, "warm")
            meter = Meter(conn, [pid])
            before, started = meter.read(), time.monotonic()
            result = collect(url, core, names, "measured")
            wall, after = time.monotonic() - started, meter.read()
    assert result["successful"] == files
    summed = alone["cpu_s"] / alone["files"] * files
    spent = after.worker_cpu - before.worker_cpu
    server = (after.server_cpu or 0.0) - (before.server_cpu or 0.0)
    return {
        "files": files,
        "size": size,
        "runners": runners,
        "summed_conversion_cpu_s": round(summed, 3),
        "summed_conversion_wall_s": round(alone["wall_s"] / alone["files"] * files, 3),
        "worker_cpu_s": round(spent, 3),
        "postgres_cpu_s": round(server, 3),
        "overhead_percent": round(100 * (spent + server - summed) / summed, 1),
        "wall_s": round(wall, 3),
        "summed_task_s": round(result["summed"], 3),
        "catalogue_s": round(result["catalogue"], 3),
        "orchestration_percent": round(100 * (runners * wall - result["summed"]) / result["summed"], 1),
        "cores_busy": round(spent / wall, 2),
    }


def main() -> None:
    """Measure, or be the process that converts alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--size", type=int, default=1536)
    parser.add_argument("--runners", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        convert_alone(chosen.alone, [f"f{number:03}.tif" for number in range(chosen.files)])
        return
    for _ in range(chosen.rounds):
        print("RESULT", json.dumps(measure(chosen.files, chosen.size, chosen.runners)), flush=True)


if __name__ == "__main__":
    main()
