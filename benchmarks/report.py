"""Everything in one command: our scenarios and, in the same rounds, the peers; medians, and how they compare.

python benchmarks/report.py [--rounds 3] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a file, but importing from the repository

from benchmarks import rig  # noqa: E402

PEERS = rig.ROOT / "benchmarks/peers"
HOME = rig.ROOT / ".local/bench"
Result = dict[str, object]

#: Which runs a round has: scenario, and its size for us.
OURS: Sequence[tuple[str, list[str]]] = (
    ("fan", ["--n", "1000"]),
    ("fan-10000", ["--n", "10000"]),
    ("heavy", ["--n", "500"]),
    ("small", ["--jobs", "200"]),
    ("seq", ["--jobs", "30"]),
    ("chain", ["--jobs", "10"]),
    ("create", ["--n", "100000"]),
    ("submit", ["--n", "2000"]),
    ("growth", ["--n", "100000"]),
)
QUICK = ("fan", "small", "seq", "chain")
#: What peers do: scenario, n, jobs, fan.
THEIRS: Mapping[str, tuple[int, int, int]] = {"fan": (1000, 1, 5), "small": (1, 200, 5), "seq": (1, 30, 5)}


def run(command: list[str], seconds: int = 600, **environment: str) -> Result | None:
    """The RESULT line of a command; None, with a word on stderr, when there is none."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env={**os.environ, **environment}, cwd=rig.ROOT
        )
    except subprocess.TimeoutExpired:
        print(f"no result within {seconds} s: {' '.join(command)}", file=sys.stderr)
        return None
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            found: Result = json.loads(line.removeprefix("RESULT "))
            return found
    print(f"failed: {' '.join(command)}\n{done.stderr[-2000:]}", file=sys.stderr)
    return None


def ours(name: str, size: list[str]) -> Result | None:
    """One of our scenarios."""
    command = [sys.executable, str(rig.ROOT / "benchmarks/orchestration.py")]
    return run([*command, "--scenario", name.partition("-")[0], *size, "--workers", "2"])


def peer_python() -> Path:
    """The interpreter that has the peers, installed at first."""
    python = HOME / "peers/bin/python"
    wanted = (PEERS / "requirements.txt").read_text()
    mark = HOME / "peers/.installed"
    if not mark.exists() or mark.read_text() != wanted:
        uv = shutil.which("uv") or str(rig.ROOT / ".local/bootstrap/bin/uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", str(HOME / "peers")], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(PEERS / "requirements.txt")]
        subprocess.run(install, check=True)
        mark.write_text(wanted)
    return python


def dbos(scenario: str) -> Result | None:
    """DBOS on a fresh database of the cluster that we are measured on."""
    with rig.cluster_database() as url:
        n, jobs, fan = THEIRS[scenario]
        command = [str(peer_python()), str(PEERS / "dbos_peer.py"), scenario, str(n), str(jobs), str(fan), "2"]
        return run(command, DATABASE_URL=_as_url(url))


def _as_url(conninfo: str) -> str:
    """DBOS reads URLs only."""
    from urllib.parse import quote

    from psycopg.conninfo import conninfo_to_dict

    parts = {k: str(v) for k, v in conninfo_to_dict(conninfo).items()}
    return (
        f"postgresql://{quote(parts.get('user', 'postgres'))}:{quote(parts.get('password', ''))}@/{parts['dbname']}"
        f"?host={quote(parts['host'], safe='')}&port={parts.get('port', '5432')}"
    )


@contextmanager
def redis() -> Iterator[int]:
    """A Redis of our own that flushes every write."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(1)
            yield port
        finally:
            server.terminate()
            server.wait(30)


def celery(scenario: str) -> Result | None:
    """Celery with late acknowledgement on a Redis that flushes."""
    n, jobs, fan = THEIRS[scenario]
    with redis() as port:
        command = [str(peer_python()), str(PEERS / "celery_peer.py"), scenario, str(n), str(jobs), str(fan), "2"]
        return run(command, REDIS_PORT=str(port))


def rounds(count: int, quick: bool) -> dict[tuple[str, str], list[Result]]:
    """All runs, ours and the peers' in turn."""
    found: dict[tuple[str, str], list[Result]] = defaultdict(list)
    others = {"dbos": dbos, "celery": celery}
    if shutil.which("redis-server") is None:
        others.pop("celery")
        print("Celery is left out: there is no redis-server (Debian, Ubuntu: apt-get install redis-server).")
    for number in range(count):
        for name, size in OURS:
            if (quick and name not in QUICK) or (name == "growth" and number > 0):
                continue
            runs = [("geomachine", ours(name, size))]
            runs += [(peer, measure(name)) for peer, measure in others.items() if name in THEIRS]
            for peer, result in runs:
                if result is not None:
                    found[name, peer].append(result)
                    print(f"round {number + 1} {name} {peer}: {_short(result)}", flush=True)
    return found


def _short(result: Result) -> str:
    skip = {"peer", "version", "scenario", "workers", "batch", "synchronous_commit", "durable"}
    return ", ".join(f"{k} {_rounded(v)}" for k, v in result.items() if k not in skip)


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def table(found: Mapping[tuple[str, str], list[Result]]) -> None:
    """Medians of every figure, and our speed in ratio to each peer's."""
    print("\nMedians")
    for (name, peer), results in found.items():
        keys = [k for k, v in results[0].items() if isinstance(v, int | float) and not isinstance(v, bool)]
        medians = {k: statistics.median(float(str(r[k])) for r in results) for k in keys}
        print(f"  {name:10} {peer:11} {_short(dict(medians))}")
    for name in THEIRS:
        mine = found.get((name, "geomachine"))
        for peer in ("dbos", "celery"):
            if mine and (theirs := found.get((name, peer))):
                ratio = _speed(mine) / _speed(theirs)
                print(f"  {name}: {ratio:.1f} times the speed of {peer} {theirs[0]['version']}")


def _speed(results: list[Result]) -> float:
    return statistics.median(float(str(r["tasks_per_s"])) for r in results)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="only what peers do too, and the chain")
    arguments = parser.parse_args()
    table(rounds(arguments.rounds, arguments.quick))


if __name__ == "__main__":
    main()
