"""Vector files into PostGIS: this project beside the limit, ogr2ogr and GeoPandas, in interleaved rounds.

python benchmarks/vector.py [--rounds 3] [--points 1000000] [--polygons 200000] [--api] [--large]
    [--only REGEX] [--data FOLDER]

Every run is a fresh process against one cluster that flushes every commit; imports are not counted. A RESULT line has
wall seconds, CPU seconds of client and server, and the client's peak memory; medians and ratios come last.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a file, but importing from the repository

from benchmarks import rig, vector_cases, vector_data  # noqa: E402

Result = dict[str, float | str]
#: What a target compares: case, figure, at most or at least, times, of case.
TARGETS: Sequence[tuple[str, str, float, str]] = (
    ("ours/points.gpkg", "at most", 2.5, "limit/points"),
    ("ours/points.parquet", "at most", 2.5, "limit/points"),
    ("ours/polygons.gpkg", "at most", 2.5, "limit/polygons"),
    ("ours/polygons.parquet", "at most", 2.5, "limit/polygons"),
    ("ogr2ogr/points.gpkg", "at least", 3, "ours/points.gpkg"),
    ("ogr2ogr/points.gpkg", "at least", 3, "ours/points.parquet"),
    ("ogr2ogr/polygons.gpkg", "at least", 3, "ours/polygons.gpkg"),
    ("ogr2ogr/polygons.geojson", "at least", 3, "ours/polygons.geojson"),
    ("ogr2ogr/polygons.geojson", "at least", 3, "one-task/polygons.geojson"),
    ("ogr2ogr/points.csv", "at least", 3, "ours/points.csv"),
    ("ogr2ogr-late/points.gpkg", "at least", 1, "ours/points.gpkg"),
    ("ogr2ogr-late/points.csv", "at least", 1, "ours/points.csv"),
    ("ogr2ogr-late/polygons.geojson", "at least", 1, "ours/polygons.geojson"),
    ("ogr2ogr-valid/polygons.gpkg", "at least", 1, "ours/polygons.gpkg"),
    ("geopandas/points.gpkg", "at least", 15, "ours/points.gpkg"),
    ("geopandas/polygons.gpkg", "at least", 15, "ours/polygons.gpkg"),
)
#: Peak memory of the client, in MB; and of `--api`, how long no task of a job was at work, in seconds.
PEAK_MB, PEAK_GEOJSON_MB, IDLE_S = 400, 700, 0.5


def measured(case: str, data: Path, url: str) -> Result | None:
    """One run in a process of its own; None, with a word on stderr, when it failed."""
    command = [sys.executable, str(rig.ROOT / "benchmarks/vector_cases.py"), case, str(data), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, cwd=rig.ROOT, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            found: Result = json.loads(line.removeprefix("RESULT "))
            return found
    print(f"failed: {case}\n{done.stderr[-3000:]}", file=sys.stderr)
    return None


def rounds(cases: Sequence[str], count: int, data: Path, url: str) -> dict[str, list[Result]]:
    """All cases in turn, `count` times."""
    found: dict[str, list[Result]] = defaultdict(list)
    for number in range(count):
        for case in cases:
            if (result := measured(case, data, url)) is not None:
                found[case].append(result)
                print(f"RESULT {json.dumps({'round': number + 1, **result})}", flush=True)
    return found


def medians(found: Mapping[str, list[Result]]) -> dict[str, dict[str, float]]:
    """The median of every figure."""
    figures = ("wall_s", "job_s", "idle_s", "client_cpu_s", "server_cpu_s", "cpu_s", "rss_mb", "load_s", "index_s")
    return {
        case: {f: statistics.median(float(r[f]) for r in results) for f in figures if f in results[0]}
        for case, results in found.items()
    }


def table(middle: Mapping[str, Mapping[str, float]]) -> None:
    """Medians, and whether the targets are met."""
    print("\nMedians")
    for case, figures in middle.items():
        print(f"  {case:26} " + "  ".join(f"{name} {value:8.2f}" for name, value in figures.items()))
    print("\nTargets (wall; CPU of client and server)")
    for case, word, times, of in TARGETS:
        if case in middle and of in middle:
            wall, cpu = (middle[case][f] / middle[of][f] for f in ("wall_s", "cpu_s"))
            met = wall <= times if word == "at most" else wall >= times
            verdict = "met" if met else "MISSED"
            print(f"  {case} is {wall:.2f} ({cpu:.2f}) times {of}; {word} {times:g}: {verdict}")
    for case, figures in middle.items():
        if case.startswith(("ours/", "one-task/")):
            most = PEAK_GEOJSON_MB if case.endswith(".geojson") else PEAK_MB
            verdict = "met" if figures["rss_mb"] <= most else "MISSED"
            print(f"  {case} peaks at {figures['rss_mb']:.0f} MB; at most {most}: {verdict}")
        if "idle_s" in figures:
            verdict = "met" if figures["idle_s"] <= IDLE_S else "MISSED"
            print(f"  {case} is without a task at work for {figures['idle_s']:.2f} s; at most {IDLE_S:g}: {verdict}")


def main() -> None:
    """Make the data, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--polygons", type=int, default=200_000)
    parser.add_argument("--api", action="store_true", help="also through a service and a worker, over HTTP")
    parser.add_argument("--large", action="store_true", help="ours alone, on ten times the features (8 GB of disk)")
    parser.add_argument("--only", default=".", help="cases whose name this expression finds")
    parser.add_argument("--data", type=Path, default=rig.ROOT / ".local/bench-vector", help="where the inputs are kept")
    arguments = parser.parse_args()
    times = 10 if arguments.large else 1
    data = vector_data.made(arguments.data, times * arguments.points, times * arguments.polygons)
    known = [*vector_cases.CASES, *(vector_cases.API_CASES if arguments.api else ())]
    cases = [case for case in known if re.search(arguments.only, case)]
    if arguments.large:
        cases = [case for case in cases if case.startswith(("ours", "one-task", "api"))]
    if shutil.which("ogr2ogr") is None:
        cases = [case for case in cases if not case.startswith("ogr2ogr")]
        print("ogr2ogr is ABSENT, so nothing is compared with it (Debian, Ubuntu: apt-get install gdal-bin).")
    with rig.database("on") as url:
        table(medians(rounds(cases, arguments.rounds, data, url)))


if __name__ == "__main__":
    main()
