"""What does CoreMachine itself cost? Jobs that do nothing, through real worker processes, on a database that flushes.

    python benchmarks/orchestration.py --scenario fan --n 1000 --workers 2

Prints one line `RESULT {json}`. Uses DATABASE_URL, which it fills with jobs, else a cluster under .local/bench.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a file, but importing from the repository

import psycopg  # noqa: E402

from benchmarks import growth, http_submit, meter, rig, scenarios  # noqa: E402
from benchmarks.jobs import CHAIN_LENGTH, FAN  # noqa: E402
from benchmarks.scenarios import SCENARIOS, Options, Ran  # noqa: E402


def measure(url: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Run a scenario and say what it took."""
    options = Options(arguments.n, arguments.jobs, arguments.fan)
    with (
        rig.machine(url, "bench-submitter") as core,
        rig.workers(url, arguments.workers, arguments.batch) as pids,
        psycopg.connect(url, autocommit=True) as conn,
    ):
        submitter = rig.Submitter(core, url)
        for _ in range(8):  # plans cached, connections open, in every worker
            submitter.wait(submitter.submit(FAN.name, [2 * arguments.batch * arguments.workers]))
        gauge = meter.Meter(conn, pids)
        before, started = gauge.read(), time.perf_counter()
        ran = SCENARIOS[arguments.scenario](submitter, options)
        seconds, after = time.perf_counter() - started, gauge.read()
        submitter.check(ran.expected)
    return {**_head(arguments), **_figures(ran, seconds), **meter.per_task(before, after, ran.tasks)}


def _head(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "peer": "geomachine",
        "version": "",
        "scenario": arguments.scenario,
        "workers": arguments.workers,
        "batch": arguments.batch,
        "synchronous_commit": arguments.sync,
        "durable": "yes",
    }


def _figures(ran: Ran, seconds: float) -> dict[str, object]:
    figures: dict[str, object] = {"jobs": len(ran.expected), "tasks": ran.tasks, "wall_s": round(seconds, 3)}
    if ran.milliseconds:  # the pauses between the jobs are not theirs
        seconds = sum(ran.milliseconds) / 1000
        median = statistics.median(ran.milliseconds)
        figures |= {"job_ms_median": round(median, 1), "hop_ms_median": round(median / CHAIN_LENGTH, 2)}
    return {
        **figures,
        "tasks_per_s": round(ran.tasks / seconds, 1),
        "ms_per_task": round(seconds * 1000 / ran.tasks, 4),
    }


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    others = {"create": growth.create, "growth": growth.growth, "submit": http_submit.measure}
    parser.add_argument("--scenario", choices=[*scenarios.SCENARIOS, *others], default="fan")
    parser.add_argument("--n", type=int, default=1000, help="tasks of the wide stage (fan, heavy, create)")
    parser.add_argument("--jobs", type=int, default=200, help="how many jobs (small, seq, chain)")
    parser.add_argument("--fan", type=int, default=5, help="tasks of their wide stage")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=100, help="WORKER_BATCH")
    parser.add_argument("--sync", choices=("on", "off"), default="on", help="synchronous_commit")
    parser.add_argument("--worker", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        rig.work(arguments.worker, arguments.batch)
        return
    with rig.database(arguments.sync) as url:
        if run := others.get(arguments.scenario):
            result = {**_head(arguments), **run(url, arguments.n, arguments.workers, arguments.batch)}
        else:
            result = measure(url, arguments)
    print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
