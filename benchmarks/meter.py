"""What did the work cost? Transactions and WAL of the whole cluster, CPU of its processes and of the workers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

_TICK = os.sysconf("SC_CLK_TCK")
# Transaction ids are given to writers only, so their difference counts write transactions.
_QUERY = (
    "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_wal_insert_lsn() - '0/0'::pg_lsn,"
    " pg_backend_pid()"
)


@dataclass(frozen=True)
class Reading:
    """Counters at one moment. CPU in seconds; `server_cpu` is None for a server on another machine."""

    write_txns: int
    wal_bytes: int
    server_cpu: float | None
    worker_cpu: float


class Meter:
    """Reads the counters. Measure on a cluster that nobody else uses: it cannot tell who did what."""

    def __init__(self, conn: psycopg.Connection[tuple[object, ...]], workers: Iterable[int]) -> None:
        self._conn = conn
        self._workers = list(workers)

    def read(self) -> Reading:
        """The counters now."""
        row = self._conn.execute(_QUERY).fetchone()
        assert row is not None
        xids, wal, backend = (int(str(value)) for value in row)
        parents, used = _processes()
        server = parents.get(backend) if self._is_here(backend) else None
        return Reading(
            write_txns=xids,
            wal_bytes=wal,
            server_cpu=None if server is None else _tree(server, parents, used),
            worker_cpu=sum(_tree(pid, parents, used) for pid in self._workers),
        )

    def _is_here(self, backend: int) -> bool:
        try:
            return Path(f"/proc/{backend}/comm").read_text().startswith("postgres")
        except OSError:
            return False


def per_task(before: Reading, after: Reading, tasks: int) -> dict[str, float | None]:
    """What each task cost between two readings."""
    server = None
    if before.server_cpu is not None and after.server_cpu is not None:
        server = round((after.server_cpu - before.server_cpu) * 1000 / tasks, 4)
    return {
        "write_txns": after.write_txns - before.write_txns,
        "write_txns_per_task": round((after.write_txns - before.write_txns) / tasks, 4),
        "wal_bytes_per_task": round((after.wal_bytes - before.wal_bytes) / tasks),
        "postgres_cpu_ms_per_task": server,
        "worker_cpu_ms_per_task": round((after.worker_cpu - before.worker_cpu) * 1000 / tasks, 4),
    }


def _processes() -> tuple[dict[int, int], dict[int, float]]:
    """Parent and CPU seconds, ended children included, of every process."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(int(ticks) for ticks in fields[11:15]) / _TICK
    return parents, used


def _tree(root: int, parents: dict[int, int], used: dict[int, float]) -> float:
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        total += used.get(pid, 0.0)
        waiting += [child for child, parent in parents.items() if parent == pid]
    return total
