"""The embedded PostgreSQL under what machines do to it: kills, crashes, races, stolen ports, foreign folders."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from core.errors import ConfigurationError, DatabaseUnavailable
from infrastructure.embedded.cluster import Cluster
from infrastructure.embedded.state import Mode
from infrastructure.embedded.templates import Templates

ROOT = Path(__file__).resolve().parents[2]
BINARIES = ROOT / ".local/postgresql"
MakeCluster = Callable[..., Cluster]


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    made: list[Cluster] = []

    def make(mode: Mode = Mode.DURABLE, home: str = "a cluster's home") -> Cluster:
        made.append(Cluster(tmp_path / home, BINARIES, mode))
        return made[-1]

    yield make
    for cluster in made:
        if not cluster.data.exists() or (cluster.home / "cluster.json").exists():
            cluster.destroy()


def query(conninfo: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(text)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def opened_by(pid: int | None) -> set[str]:
    """Files a process holds open or shares memory through."""
    maps = [line.split(maxsplit=5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return {str(f.readlink()) for f in Path(f"/proc/{pid}/fd").iterdir()} | {m[5] for m in maps if m[1] == "rw-s"}


def test_up_twice_is_one_server_with_postgis_whatever_the_shell_sets(
    make_cluster: MakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGPORT": "5432",
        "PGHOST": "/nowhere",
        "PROJ_LIB": "/nowhere",
        "GDAL_DATA": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    conninfo = make_cluster().up()
    pid = make_cluster().pid()
    assert make_cluster().up() == conninfo
    assert make_cluster().pid() == pid
    query(conninfo, "create extension postgis; create extension btree_gist; create extension unaccent")
    # 4 degrees east, 52 north in the Dutch national grid; PROJ's own cs2cs gives the same metres
    [(x, y)] = query(conninfo, "select st_x(p), st_y(p) from st_transform('SRID=4326;POINT(4 52)'::geometry, 28992) p")
    assert (x, y) == pytest.approx((59742, 446645), abs=1)


def test_stopped_server_starts_again_with_its_data_and_port(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    conninfo = cluster.up()
    query(conninfo, "create table t as select 7 as i")
    assert cluster.stop()
    assert not cluster.stop()
    assert not cluster.running()
    assert cluster.up() == conninfo
    assert query(conninfo, "select i from t") == [(7,)]


def test_stopping_what_never_ran_leaves_no_trace(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    assert not cluster.stop()
    assert not cluster.home.exists()
    with pytest.raises(DatabaseUnavailable, match="No database was set up"):
        cluster.conninfo()


def test_six_processes_bring_up_one_server(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Mode.DISPOSABLE)
    code = (
        "import sys; from pathlib import Path; from infrastructure.embedded.cluster import Cluster, Mode;"
        "print(Cluster(Path(sys.argv[1]), Path(sys.argv[2]), Mode.DISPOSABLE).up())"
    )
    argv = [sys.executable, "-c", code, str(cluster.home), str(BINARIES)]
    started = [
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    ended = [(*p.communicate(timeout=60), p.returncode) for p in started]
    assert [code for _, _, code in ended] == [0] * 6, ended
    assert len({output for output, _, _ in ended}) == 1
    assert (cluster.log).read_text().count("starting PostgreSQL") == 1


def test_sigkilled_postmaster_comes_back_with_every_commit(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    conninfo = cluster.up()
    query(conninfo, "create table t as select generate_series(1, 1000) as i")
    pid = cluster.pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: not cluster.running())
    assert query(cluster.up(), "select count(*) from t") == [(1000,)]


def test_query_that_outlives_its_killed_postmaster_does_not_block_the_next_start(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    conninfo = cluster.up()
    with closing(psycopg.connect(conninfo)) as connection:
        connection.pgconn.send_query(b"select count(*) from generate_series(1, 99999) a, generate_series(1, 99999) b")
        time.sleep(0.5)
        os.kill(cluster.pid() or 0, signal.SIGKILL)
        assert until(lambda: not cluster.running())
        started = time.monotonic()
        assert query(cluster.up(), "select 1") == [(1,)]
        assert time.monotonic() - started < 10


def test_pid_file_naming_a_process_of_someone_else_does_not_block_the_start(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    query(cluster.up(), "create table t as select 1 as i")
    pid_file = cluster.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    cluster.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert not cluster.running()
    assert query(cluster.up(), "select i from t") == [(1,)]


def test_taken_port_is_replaced_by_another(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    port = psycopg.conninfo.conninfo_to_dict(cluster.up())["port"]
    cluster.stop()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", int(str(port))))
        thief.listen()
        conninfo = cluster.up()
    assert psycopg.conninfo.conninfo_to_dict(conninfo)["port"] != port
    assert query(conninfo, "select 1") == [(1,)]


def test_corrupt_disposable_cluster_is_made_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Mode.DISPOSABLE)
    cluster.up()
    cluster.stop()
    (cluster.data / "global/pg_control").write_bytes(bytes(8192))
    assert query(cluster.up(), "select 1") == [(1,)]


def test_corrupt_durable_cluster_is_reported_and_kept(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    cluster.up()
    cluster.stop()
    (cluster.data / "global/pg_control").write_bytes(bytes(8192))
    with pytest.raises(DatabaseUnavailable, match="did not start") as raised:
        cluster.up()
    assert str(cluster.log) in str(raised.value)
    assert (cluster.data / "PG_VERSION").exists()


def test_kill_in_the_middle_of_initdb_is_repaired_by_the_next_up(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    cluster.up()
    cluster.stop()
    cluster.data.rename(cluster.home / "data.new")
    (cluster.home / "data.new/PG_VERSION").unlink()
    (cluster.home / "password.new").write_text("from the killed run")
    assert query(cluster.up(), "select 1") == [(1,)]


def test_server_stops_when_the_last_of_its_owners_is_gone(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Mode.DISPOSABLE)
    owners = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    try:
        for owner in owners:
            cluster.up(owner_pid=owner.pid)
        owners[0].kill()
        owners[0].wait()
        assert not until(lambda: not cluster.running(), seconds=2)
        owners[1].kill()
        owners[1].wait()
        assert until(lambda: not cluster.running())
    finally:
        for owner in owners:
            owner.kill()
            owner.wait()


def test_foreign_folder_is_refused_and_left_alone(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    cluster.data.mkdir(parents=True, mode=0o755)
    (cluster.data / "precious").write_text("x")
    with pytest.raises(ConfigurationError, match="is not a database of this program"):
        cluster.up()
    cluster.destroy()
    assert (cluster.data / "precious").read_text() == "x"


def test_disposable_and_durable_are_not_mixed_up(make_cluster: MakeCluster) -> None:
    make_cluster(Mode.DURABLE).up()
    with pytest.raises(ConfigurationError, match="holds a durable cluster"):
        make_cluster(Mode.DISPOSABLE).up()


def test_password_is_needed_and_kept_from_others(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    conninfo = psycopg.conninfo.conninfo_to_dict(cluster.up())
    password = str(conninfo["password"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**{**conninfo, "password": "wrong"})  # type: ignore[arg-type]
    holding = [p for p in cluster.home.glob("*") if p.is_file() and password in p.read_text()]
    assert [(p.name, p.stat().st_mode & 0o777) for p in holding] == [("cluster.json", 0o600)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_server_has_no_socket_and_no_file_outside_its_folders(
    make_cluster: MakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    cluster = make_cluster()
    conninfo = cluster.up()
    port = psycopg.conninfo.conninfo_to_dict(conninfo)["port"]
    with psycopg.connect(conninfo) as connection:
        connection.execute("create temporary table t as select generate_series(1, 100000) as i")
        opened = set()
        for pid in (cluster.pid(), connection.info.backend_pid):
            opened |= opened_by(pid)
    allowed = (str(cluster.home), "/dev/null", "/dev/zero", "/SYSV", "socket:", "pipe:", "anon_inode:", "/ (deleted)")
    assert {path for path in opened if path and not path.startswith(allowed)} == set()
    assert f".s.PGSQL.{port}" not in Path("/proc/net/unix").read_text()
    assert [list((tmp_path / name).iterdir()) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")] == [[], [], []]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the problem")
def test_root_runs_it_in_a_folder_that_only_root_can_enter(make_cluster: MakeCluster, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    cluster = make_cluster(home="private/home")
    assert query(cluster.up(), "select 1") == [(1,)]
    assert cluster.data.stat().st_uid == 0
    assert cluster.home.stat().st_mode & 0o077 == 0


def test_template_is_built_once_and_clones_are_independent(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Mode.DISPOSABLE)
    cluster.up()
    templates = Templates(cluster)
    built: list[str] = []

    def build(conninfo: str) -> None:
        built.append(conninfo)
        query(conninfo, "create table t as select 1 as i")

    threads = [threading.Thread(target=templates.ensure, args=("key", build)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    first, second = (templates.clone(templates.ensure("key", build)) for _ in range(2))
    query(cluster.conninfo(first), "insert into t values (2)")
    assert query(cluster.conninfo(second), "select i from t") == [(1,)]


def test_failed_template_is_built_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Mode.DISPOSABLE)
    cluster.up()
    templates = Templates(cluster)

    def fail(conninfo: str) -> None:
        query(conninfo, "create table half_done (i int)")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        templates.ensure("key", fail)
    name = templates.clone(templates.ensure("key", lambda conninfo: str(query(conninfo, "create table whole (i int)"))))
    assert query(cluster.conninfo(name), "select relname::text from pg_stat_user_tables") == [("whole",)]
