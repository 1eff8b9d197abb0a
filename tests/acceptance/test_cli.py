"""The commands a newcomer types, in order, on a home of their own; and what is left when everything is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import pytest
import rasterio

from config import inherited
from tests.support.system import ROOT, free_port

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("cli")]


@dataclass(frozen=True)
class Commands:
    """The command line on one home."""

    home: Path
    port: int

    def environment(self) -> dict[str, str]:
        return inherited(
            GEOMACHINE_HOME=str(self.home), GEOMACHINE_PORT=str(self.port), PYTHONPATH=str(ROOT), COLUMNS="200"
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "triggers.cli", *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.home,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and everything printed."""
        running = self.start(*arguments)
        printed, _ = running.communicate(timeout=300)
        return running.returncode, printed

    def processes(self) -> list[int]:
        """Every process of this home: supervisor, service, workers, PostgreSQL."""
        marker = f"GEOMACHINE_HOME={self.home}".encode()
        data = str((self.home / "database" / "data").resolve())
        return [pid for pid in _pids() if marker in _environment(pid) or _directory(pid) == data]

    def kill_everything(self) -> int:
        """SIGKILL until nothing of this home runs; how many were killed."""
        count = 0
        while found := self.processes():
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                    count += 1
                except ProcessLookupError:
                    continue
            time.sleep(0.05)
        return count

    def query(self, sql: str) -> list[tuple]:
        state = json.loads((self.home / "database" / "cluster.json").read_text())
        url = f"postgresql://geomachine:{state['password']}@127.0.0.1:{state['port']}/geomachine"
        with psycopg.connect(url) as conn:
            return conn.execute(sql).fetchall()


def _pids() -> list[int]:
    me = os.getpid()
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and int(p.name) != me]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _directory(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("finding every process of a home needs /proc")
    home = tmp_path_factory.mktemp("home")
    made = Commands(home, free_port())
    yield made
    made.run("down")
    made.kill_everything()


def unfinished(commands: Commands) -> bool:
    try:
        return commands.query("SELECT count(*) FROM app.tasks WHERE status = 'processing'")[0][0] > 0
    except (OSError, psycopg.Error, KeyError):
        return False


def test_a_demo_whose_every_process_is_killed_is_finished_by_the_next(commands: Commands) -> None:
    first = commands.start("demo")
    ends = time.monotonic() + 120
    while not unfinished(commands) and time.monotonic() < ends and first.poll() is None:
        time.sleep(0.02)
    assert commands.kill_everything() >= 5
    first.communicate(timeout=30)
    code, printed = commands.run("demo")
    assert code == 0, printed
    assert "2 of 2 datasets are published" in printed
    assert commands.query("SELECT status, count(*) FROM app.jobs GROUP BY 1") == [("completed", 2)]
    assert commands.query("SELECT count(*) FROM pgstac.items") == [(2,)]
    assert commands.query("SELECT count(*) FROM geo.table_catalog") == [(1,)]
    assert commands.query("SELECT count(*) FROM app.dataset_approvals WHERE status = 'approved'") == [(2,)]
    assert commands.query("SELECT count(*) FROM app.stages GROUP BY job_key") == [(3,), (3,)]
    stray = commands.query(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'geo' AND tablename NOT IN"
        " (SELECT table_name FROM geo.table_catalog)"
        " AND tablename NOT IN ('table_catalog', 'feature_collection_styles')"
    )
    assert stray == [(0,)]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # a PNG has no place
def test_a_second_demo_finds_everything_published_and_changes_nothing(commands: Commands) -> None:
    before = commands.query("SELECT max(event_id) FROM app.job_events")
    code, printed = commands.run("demo")
    assert code == 0, printed
    assert printed.count("already submitted") == 2
    assert commands.query("SELECT max(event_id) FROM app.job_events") == before
    (picture,) = (commands.home / "previews").glob("*.png")
    assert str(picture) in printed
    with rasterio.open(picture) as opened:
        assert opened.driver == "PNG" and len(np.unique(opened.read(1))) > 20


def test_a_bad_file_is_named_with_its_cause_and_the_others_still_publish(
    commands: Commands, small_raster: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "notes.tif"
    bad.write_text("not a raster")
    code, printed = commands.run("demo", str(bad), str(small_raster), str(tmp_path / "absent.gpkg"))
    assert code == 1
    assert re.search(r"✗ notes\.tif: .*notes\.tif.*\[UNREADABLE_SOURCE\]", printed)
    assert re.search(r"✗ absent\.gpkg: There is no file", printed)
    assert "1 of 3 datasets are published" in printed


def test_status_key_and_doctor_tell_what_they_promise(commands: Commands) -> None:
    code, printed = commands.run("status")
    assert code == 0
    assert "healthy" in printed
    code, key = commands.run("key")
    assert code == 0
    assert re.fullmatch(r"gm_[\w-]{43}\n", key)
    assert oct((commands.home / "run" / "admin.key").stat().st_mode & 0o777) == "0o600"
    assert commands.run("doctor")[0] == 0


def test_submit_approve_and_reject_by_hand(commands: Commands, small_vector: Path, small_raster: Path) -> None:
    code, printed = commands.run(
        "submit", str(small_vector), str(small_raster), "--dataset-id", "by-hand", "--version-id", "v1", "--wait"
    )
    assert code == 0, printed
    listed = commands.run("approvals")[1]
    first, second = re.findall(r"apr-[0-9a-f]{32}", listed)
    code, printed = commands.run("approve", first)
    assert (code, "published" in printed) == (0, True)
    assert commands.run("reject", second)[0] == 2  # the reason is required
    assert commands.run("reject", second, "--reason", "too coarse")[0] == 0
    code, printed = commands.run("approve", second)
    assert code == 1
    assert "status is 'rejected', expected 'pending'" in printed
    assert "No pending approvals" in commands.run("approvals")[1]


def test_the_schema_has_no_drift(commands: Commands) -> None:
    code, printed = commands.run("db", "drift")
    assert code == 0, printed


def test_down_stops_every_process_and_says_so(commands: Commands) -> None:
    assert "Stopped" in commands.run("down")[1]
    assert commands.processes() == []
    assert "Nothing was running" in commands.run("down")[1]
    code, printed = commands.run("status")
    assert (code, "Down" in printed) == (3, True)
    code, printed = commands.run("approvals")
    assert code == 1
    assert "./geomachine up" in printed
    code, printed = commands.run("aprove")
    assert (code, "Usage: ./geomachine" in printed) == (2, True)


def test_down_stops_a_system_that_is_still_starting(commands: Commands) -> None:
    lock = commands.home / "run" / "supervisor.lock"
    before, starting = lock.read_text(), commands.start("up", "--detach")
    ends = time.monotonic() + 60
    while lock.read_text() in ("", before) and time.monotonic() < ends:
        time.sleep(0.01)
    assert "Stopped" in commands.run("down")[1]
    starting.communicate(timeout=60)
    assert commands.processes() == []


def test_a_killed_supervisor_takes_service_and_worker_and_its_runners_with_it(commands: Commands) -> None:
    assert commands.run("up", "--detach", "--workers", "2")[0] == 0
    mine = commands.processes()
    supervisor = json.loads((commands.home / "run" / "supervisor.json").read_text())["pid"]
    runners = [pid for pid in mine if b"triggers.worker" in _command(pid)]
    assert len(runners) == 2
    os.kill(supervisor, signal.SIGKILL)
    ends = time.monotonic() + 120
    while any(b"triggers." in _command(pid) for pid in mine) and time.monotonic() < ends:
        time.sleep(0.1)
    assert [_command(pid) for pid in mine if b"triggers." in _command(pid)] == []
    commands.run("down")
