"""One run of one way to get a vector file into PostGIS, in this process; called by vector.py."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a file, but importing from the repository

import psycopg  # noqa: E402
from psycopg.conninfo import conninfo_to_dict  # noqa: E402

from benchmarks.meter import Meter  # noqa: E402

POINTS_DDL = (
    "building_id bigint, name text, category text, area_m2 double precision, floors integer,"
    " confidence double precision, updated_at timestamp, admin_code text"
)
POLYGONS_DDL = "parcel_id bigint, owner text, landuse text, area_ha double precision, year integer, upi text"


@dataclass(frozen=True)
class Source:
    """An input, and the database."""

    data: Path
    name: str
    url: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.data / self.name


def ours(source: Source) -> Mapping[str, float]:
    """All stages of process_vector as a worker runs them: validation, indexes, swap and catalogue included."""
    return _ours(source, one_task=False)


def one_task(source: Source) -> Mapping[str, float]:
    """The same by process_vector_docker."""
    return _ours(source, one_task=True)


def _ours(source: Source, *, one_task: bool) -> Mapping[str, float]:
    from tests.support.vector import VectorRig

    with tempfile.TemporaryDirectory(dir=source.data) as folder:
        rig = VectorRig(source.url, Path(folder))
        parameters = rig.parameters(rig.put(source.path), table_name="bench", overwrite=True)
        run = rig.run_as_one_task if one_task else rig.run
        start = time.perf_counter()
        run(parameters)
        seconds = time.perf_counter() - start
        rig.close()
    return {"wall_s": seconds}


def limit(source: Source) -> Mapping[str, float]:
    """COPY of a file that is ready for it, then the same primary key, spatial index and statistics."""
    kind = source.name
    geometry = "geometry(Point, 4326)" if kind == "points" else "geometry(MultiPolygon, 4326)"
    ready = _prepared(source, geometry)
    with psycopg.connect(source.url) as conn:
        conn.execute("drop table if exists limits")
        conn.execute(f"create table limits (id bigint not null, {_ddl(kind)}, geom {geometry} not null)")
        conn.commit()
        start = time.perf_counter()
        statement = "copy limits from stdin (format binary)"
        with conn.cursor() as cursor, cursor.copy(statement) as copy, ready.open("rb") as file:
            while piece := file.read(1 << 20):
                copy.write(piece)
        conn.commit()
        loaded = time.perf_counter()
        conn.execute("set local maintenance_work_mem = '256MB'")
        conn.execute("alter table limits add primary key (id)")
        conn.execute("create index on limits using gist (geom)")
        conn.execute("analyze limits")
        conn.commit()
        end = time.perf_counter()
    return {"wall_s": end - start, "load_s": loaded - start, "index_s": end - loaded}


def _prepared(source: Source, geometry: str) -> Path:
    """The bytes that the server itself writes for the table that we load."""
    ready = source.data / f"{source.name}.pgcopy"
    if not ready.exists():
        ours(Source(source.data, f"{source.name}.gpkg", source.url))
        statement = "copy geo.bench to stdout (format binary)"
        with psycopg.connect(source.url) as conn, conn.cursor() as cursor, cursor.copy(statement) as copy:
            ready.write_bytes(b"".join(copy))
    return ready


def ogr2ogr(source: Source) -> Mapping[str, float]:
    """GDAL's own loader with COPY, as it comes: it makes the spatial index, and before the load."""
    start = time.perf_counter()
    _ogr2ogr(source)
    with psycopg.connect(source.url) as conn:
        conn.execute("analyze ogr")
    return {"wall_s": time.perf_counter() - start}


def ogr2ogr_late(source: Source) -> Mapping[str, float]:
    """The same, told to make no index, which is made afterwards with memory for it."""
    start = time.perf_counter()
    _ogr2ogr(source, "-lco", "SPATIAL_INDEX=NONE")
    with psycopg.connect(source.url) as conn:
        conn.execute("set local maintenance_work_mem = '256MB'")
        conn.execute("create index on ogr using gist (geom)")
        conn.execute("analyze ogr")
    return {"wall_s": time.perf_counter() - start}


def ogr2ogr_valid(source: Source) -> Mapping[str, float]:
    """As `ogr2ogr_late`, and what we do to polygons beside loading them: made valid, and all of one type."""
    start = time.perf_counter()
    _ogr2ogr(source, "-lco", "SPATIAL_INDEX=NONE", "-makevalid", "-nlt", "PROMOTE_TO_MULTI")
    with psycopg.connect(source.url) as conn:
        conn.execute("set local maintenance_work_mem = '256MB'")
        conn.execute("create index on ogr using gist (geom)")
        conn.execute("analyze ogr")
    return {"wall_s": time.perf_counter() - start}


def _ogr2ogr(source: Source, *more: str) -> None:
    options = ["-nln", "ogr", "-overwrite", "-lco", "GEOMETRY_NAME=geom", *more]
    if source.path.suffix == ".csv":
        options += ["-oo", "AUTODETECT_TYPE=YES", "-oo", "X_POSSIBLE_NAMES=lon", "-oo", "Y_POSSIBLE_NAMES=lat"]
        options += ["-a_srs", "EPSG:4326"]
    command = ["ogr2ogr", "--config", "PG_USE_COPY", "YES", "-f", "PostgreSQL", f"PG:{_ogr(source.url)}"]
    subprocess.run([*command, str(source.path), *options], check=True)


def geopandas(source: Source) -> Mapping[str, float]:
    """read_file and to_postgis, with the index that it makes."""
    from geopandas import read_file
    from sqlalchemy import create_engine

    engine = create_engine("postgresql+psycopg://", connect_args=conninfo_to_dict(source.url))
    start = time.perf_counter()
    read_file(source.path).to_postgis("gpd", engine, if_exists="replace", index=False)
    seconds = time.perf_counter() - start
    engine.dispose()
    return {"wall_s": seconds}


def api(source: Source) -> Mapping[str, float]:
    """The whole job as a partner asks for it, in parts."""
    from benchmarks.vector_api import through_the_api

    return through_the_api(source.path, source.url, "function")


def api_docker(source: Source) -> Mapping[str, float]:
    """The same as one task."""
    from benchmarks.vector_api import through_the_api

    return through_the_api(source.path, source.url, "docker")


_WAYS: Mapping[str, Callable[[Source], Mapping[str, float]]] = {
    "limit": limit,
    "ours": ours,
    "one-task": one_task,
    "ogr2ogr": ogr2ogr,
    "ogr2ogr-late": ogr2ogr_late,
    "ogr2ogr-valid": ogr2ogr_valid,
    "geopandas": geopandas,
    "api": api,
    "api-docker": api_docker,
}
CASES = (
    "limit/points",
    "ours/points.gpkg",
    "ours/points.parquet",
    "ours/points.csv",
    "ogr2ogr/points.gpkg",
    "ogr2ogr/points.csv",
    "ogr2ogr-late/points.gpkg",
    "ogr2ogr-late/points.csv",
    "geopandas/points.gpkg",
    "limit/polygons",
    "ours/polygons.gpkg",
    "ours/polygons.parquet",
    "ours/polygons.geojson",
    "one-task/polygons.geojson",
    "ogr2ogr/polygons.gpkg",
    "ogr2ogr/polygons.geojson",
    "ogr2ogr-late/polygons.gpkg",
    "ogr2ogr-late/polygons.geojson",
    "ogr2ogr-valid/polygons.gpkg",
    "geopandas/polygons.gpkg",
)
#: Cases of `--api`: what the machine adds to the work.
API_CASES = ("api/points.gpkg", "api/points.parquet", "api-docker/points.gpkg", "api/polygons.gpkg")


def _ddl(kind: str) -> str:
    return POINTS_DDL if kind == "points" else POLYGONS_DDL


def _ogr(url: str) -> str:
    known = {"host", "port", "user", "password", "dbname"}
    return " ".join(f"{k}={v}" for k, v in conninfo_to_dict(url).items() if k in known and v)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _peak() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(w).ru_maxrss for w in who) / 1024


def _warm(way: str) -> None:
    # What a long-lived worker has imported already.
    if way == "geopandas":
        import geopandas  # noqa: F401
        import sqlalchemy  # noqa: F401
    if way in ("ours", "one-task", "limit"):
        import pyogrio  # noqa: F401

        import tests.support.vector  # noqa: F401


def main() -> None:
    """Run the case and print what it took."""
    case, data, url = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    way, _, name = case.partition("/")
    source = Source(data, name, url)
    _warm(way)
    if way == "limit":
        _prepared(source, "")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("checkpoint")
        meter = Meter(conn, [])
        before, client = meter.read(), _cpu()
        figures = dict(_WAYS[way](source))
        time.sleep(0.5)  # a backend that has just ended counts once the server has noticed
        after, client_after = meter.read(), _cpu()
    server = (after.server_cpu or 0) - (before.server_cpu or 0)
    figures["client_cpu_s"], figures["server_cpu_s"] = client_after - client, server
    figures["cpu_s"] = client_after - client + server
    print("RESULT " + json.dumps({"case": case, **figures, "rss_mb": _peak()}))


if __name__ == "__main__":
    main()
