"""DBOS on PostgreSQL: a job's tasks are checkpointed steps of its workflow, the cheapest of the ways DBOS offers.

Run by report.py in an environment of its own: `dbos_peer.py SCENARIO N JOBS FAN WORKERS`, with DATABASE_URL set.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version

from dbos import DBOS, DBOSClient

POLL = 0.02  # seconds; the library's default of one second would measure waiting
URL = os.environ["DATABASE_URL"]


def worker(number: str) -> None:
    """A worker process, until it is killed."""
    config = {"name": "bench", "system_database_url": URL, "log_level": "ERROR", "console_log_level": "ERROR"}
    DBOS(config={**config, "application_version": "1", "executor_id": f"w{number}", "sys_db_pool_size": 20})

    @DBOS.step(name="task")
    async def task(value: int) -> int:
        return value

    @DBOS.workflow(name="job")
    async def job(width: int) -> int:
        await task(-1)
        answers = await asyncio.gather(*[task(i) for i in range(width)])
        return await task(sum(answers))

    DBOS.listen_queues(["jobs"])
    DBOS.launch()
    DBOS.register_queue("jobs", polling_interval_sec=POLL)
    print("ready", flush=True)
    time.sleep(3600)


def main(scenario: str, n: int, jobs: int, fan: int, workers: int) -> None:
    """Start workers, run the scenario, print the result."""
    command = [sys.executable, __file__, "--worker"]
    running = [subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE) for i in range(workers)]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        client = DBOSClient(system_database_url=URL)

        def submit(width: int):
            return client.enqueue({"queue_name": "jobs", "workflow_name": "job"}, width)

        assert submit(5).get_result(polling_interval_sec=POLL) == 10
        widths = [n] if scenario == "fan" else [fan] * jobs
        started = time.perf_counter()
        if scenario == "seq":
            totals = [submit(w).get_result(polling_interval_sec=POLL) for w in widths]
        else:
            totals = [h.get_result(polling_interval_sec=POLL) for h in [submit(w) for w in widths]]
        seconds = time.perf_counter() - started
        assert totals == [sum(range(w)) for w in widths]
    finally:
        for process in running:
            process.kill()
            process.wait()
    tasks = sum(w + 2 for w in widths)
    result = {"peer": "dbos", "version": version("dbos"), "scenario": scenario, "tasks": tasks, "wall_s": seconds}
    print("RESULT " + json.dumps({**result, "tasks_per_s": tasks / seconds, "job_ms": seconds * 1000 / len(widths)}))


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(sys.argv[2])
    else:
        main(sys.argv[1], *map(int, sys.argv[2:]))
        os._exit(0)  # its threads would keep the process
