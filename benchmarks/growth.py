"""Does it stay as fast as it grows? Making a wide stage beside plain COPY; wide stages and old rows beside neither."""

from __future__ import annotations

import time

import psycopg

from benchmarks import meter, rig
from benchmarks.jobs import FAN, WIDE


def create(url: str, n: int, workers: int, batch: int) -> dict[str, object]:
    """Submit a job of n tasks, planning included, and COPY as many rows into a table like `app.tasks`."""
    with rig.machine(url, "bench-submitter") as core, psycopg.connect(url) as conn:
        core.submit(WIDE.name, {"name": "warm", "width": 10})
        started = time.perf_counter()
        prepared = core.prepare(WIDE.name, {"name": "wide", "width": n})
        planned = time.perf_counter()
        core.store.submit(prepared)
        seconds = time.perf_counter() - started
        conn.execute("CREATE TABLE app.like_tasks (LIKE app.tasks INCLUDING DEFAULTS INCLUDING INDEXES)")
        conn.commit()
        copied = _copy(conn, list(zip(prepared.first_stage.keys, prepared.first_stage.parameters, strict=True)))
        conn.execute("DROP TABLE app.like_tasks")
    return {
        "tasks": n,
        "seconds": round(seconds, 3),
        "planning_seconds": round(planned - started, 3),
        "copy_seconds": round(copied, 3),
        "ratio_to_copy": round(seconds / copied, 2),
    }


def _copy(conn: psycopg.Connection[tuple[object, ...]], rows: list[tuple[str, str]]) -> float:
    started = time.perf_counter()
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "COPY app.like_tasks (job_key, stage, task_index, task_key, task_type, parameters) FROM STDIN"
        ) as copy,
    ):
        for index, (key, parameters) in enumerate(rows):
            copy.write_row((1, 1, index, key, "bench_work", parameters))
    conn.commit()
    return time.perf_counter() - started


def growth(url: str, n: int, workers: int, batch: int) -> dict[str, object]:
    """Cost of a task in a stage of 1,000, in one of n, and in one of 1,000 beside a million old tasks."""
    with (
        rig.machine(url, "bench-submitter") as core,
        rig.workers(url, workers, batch) as pids,
        psycopg.connect(url, autocommit=True) as conn,
    ):
        submitter = rig.Submitter(core, url)
        gauge = meter.Meter(conn, pids)

        def cost(width: int, times: int) -> dict[str, float]:
            before, started = gauge.read(), time.perf_counter()
            for _ in range(times):
                submitter.wait(submitter.submit(FAN.name, [width]))
            seconds, tasks = time.perf_counter() - started, times * (width + 2)
            spent = meter.per_task(before, gauge.read(), tasks)
            cpu = float(spent["postgres_cpu_ms_per_task"] or 0) + float(spent["worker_cpu_ms_per_task"] or 0)
            return {"wall_ms": round(seconds * 1000 / tasks, 4), "cpu_ms": round(cpu, 4)}

        cost(1000, 5)
        small, wide = cost(1000, 20), cost(n, 1)
        _age(conn, 1_000_000)
        again, old = cost(1000, 5), cost(1000, 20)
        del again  # caches warm after the table has grown
    return {
        "tasks": n,
        "small": small,
        "wide": wide,
        "old_rows": old,
        "wide_to_small_cpu": round(wide["cpu_ms"] / small["cpu_ms"], 2),
        "old_to_small_cpu": round(old["cpu_ms"] / small["cpu_ms"], 2),
        "wide_to_small_wall": round(wide["wall_ms"] / small["wall_ms"], 2),
        "old_to_small_wall": round(old["wall_ms"] / small["wall_ms"], 2),
    }


def _age(conn: psycopg.Connection[tuple[object, ...]], tasks: int) -> None:
    """Ended jobs of a thousand tasks each."""
    conn.execute(
        "INSERT INTO app.jobs (job_id, job_type, parameters, status, result, finished_at)"
        " SELECT encode(sha256(n::text::bytea), 'hex'), 'bench_old', '{}', 'completed', '{}', now()"
        " FROM generate_series(1, %s) n",
        [tasks // 1000],
    )
    conn.execute(
        "INSERT INTO app.stages (job_key, stage, name, task_type, queue, heavy, max_failures, status, expected,"
        " remaining, finished_at) SELECT job_key, 1, 'work', 'bench_work', 'vector-tasks', false, 4, 'completed', 1000,"
        " 0, now() FROM app.jobs WHERE job_type = 'bench_old'"
    )
    conn.execute(
        "INSERT INTO app.tasks (job_key, stage, task_index, task_key, task_type, parameters, status, result,"
        " finished_at, attempt) SELECT job_key, 1, n, n::text, 'bench_work', '{\"value\": 1}', 'completed',"
        " '{\"value\": 1}', now(), 1 FROM app.jobs, generate_series(0, 999) n WHERE job_type = 'bench_old'"
    )
    conn.execute("VACUUM ANALYZE app.tasks")
    conn.execute("CHECKPOINT")
